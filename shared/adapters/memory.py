"""Every small port in memory: for tests, and for measuring what the rest costs. Safe under threads and event loops.

Nothing here waits, so nothing here gives way to another task: each call is one step.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import count
from threading import Lock
from typing import Literal
from uuid import UUID

from shared.adapters.key_rules import check_key
from shared.adapters.message_rules import check_message
from shared.domain.events import Message, Topic
from shared.domain.jobs import JobName
from shared.ports.clock import Clock
from shared.ports.connections import Connection
from shared.ports.idempotency import Claim, Settled
from shared.ports.scheduler import ScheduledJob
from shared.runtime.errors import PoisonError, TransientError, UpstreamError


@dataclass(slots=True)
class _Key:
    """One key's row. outcome: None until it is settled."""

    token: str
    payload_sha256: str
    lease_expires_at: datetime
    expires_at: datetime
    outcome: Mapping[str, str] | None = None


class InMemoryIdempotencyStore:
    """Keys in a dictionary."""

    def __init__(self, *, clock: Clock) -> None:
        """clock: decides which leases and keys have ended."""
        self._clock = clock
        self._keys: dict[str, _Key] = {}
        self._tokens = count(1)
        self._lock = Lock()

    async def claim(
        self, key: str, *, payload_sha256: str, lease_s: float, expires_at: datetime
    ) -> Claim | Settled:
        """Own `key` until the lease ends, or return the outcome someone already reached."""
        check_key(key)
        now = self._clock()
        with self._lock:
            found = self._keys.get(key)
            if found is not None and found.expires_at > now:
                if found.payload_sha256 != payload_sha256:
                    raise PoisonError("key_reused", key)
                if found.outcome is not None:
                    return Settled(key, found.outcome)
                if found.lease_expires_at > now:
                    raise TransientError("key_held", key)
            token = str(next(self._tokens))
            self._keys[key] = _Key(token, payload_sha256, now + timedelta(seconds=lease_s), expires_at)
        return Claim(key, token, created=found is None)

    async def settle(self, claim: Claim, outcome: Mapping[str, str]) -> None:
        """Keep the outcome for whoever asks again."""
        with self._lock:
            found = self._owned(claim)
            if found is None:
                raise TransientError("claim_lost", claim.key)
            found.outcome = dict(outcome)

    async def release(self, claim: Claim) -> None:
        """Give the key up, unless the claim was taken over."""
        with self._lock:
            if self._owned(claim) is not None:
                del self._keys[claim.key]

    async def ready(self) -> None:
        """Return."""

    def _owned(self, claim: Claim) -> _Key | None:
        found = self._keys.get(claim.key)
        return found if found is not None and found.token == claim.token and found.outcome is None else None


class InMemoryPayloadStore:
    """Payloads in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, customer_id: UUID, event_id: UUID, body: bytes) -> str:
        """Return the reference, once the body is kept."""
        reference = f"memory:{customer_id}/{event_id}/{sha256(body).hexdigest()}"
        self.kept[reference] = body
        return reference

    def get(self, reference: str) -> bytes:
        """Return what is kept there."""
        try:
            return self.kept[reference]
        except KeyError as exc:
            raise PoisonError("payload_missing", "the payload is not where its event says") from exc


class InMemoryPublisher:
    """Keeps what was published. failure: what the next calls meet instead of a broker.

    An error is raised as it is; `silence` answers nothing, so that the caller's timeout passes.
    """

    def __init__(self, *, keep: int = 10_000) -> None:
        """keep: how many messages, the newest ones."""
        self.failure: UpstreamError | Literal["silence"] | None = None
        self._messages: deque[Message] = deque(maxlen=keep)

    @property
    def messages(self) -> list[Message]:
        """What was published, oldest first."""
        return list(self._messages)

    def on(self, topic: Topic) -> list[Message]:
        """Return what was published to one topic, oldest first."""
        return [message for message in self._messages if message.topic == topic]

    async def publish(self, messages: Sequence[Message], *, timeout_s: float) -> None:
        """Keep the messages."""
        for message in messages:
            check_message(message)
        if self.failure is not None:
            await self._fail(timeout_s)
        self._messages.extend(messages)

    async def ready(self) -> None:
        """Return unless told to fail."""
        if self.failure is not None:
            raise TransientError("unavailable", "broker")

    async def _fail(self, timeout_s: float) -> None:
        if isinstance(self.failure, UpstreamError):
            raise self.failure
        await asyncio.sleep(timeout_s)
        raise TransientError("timeout", "broker")


class InMemoryConnectionRegistry:
    """Connections in a dictionary."""

    def __init__(self, connections: Iterable[Connection] = ()) -> None:
        """connections: what is registered from the start."""
        self._connections = {connection.id: connection for connection in connections}

    def get(self, connection_id: UUID) -> Connection | None:
        """Return the connection as it is now, disabled ones too, or None."""
        return self._connections.get(connection_id)

    def put(self, connection: Connection) -> None:
        """Store the connection, over an earlier one of its id."""
        self._connections[connection.id] = connection

    def list(self) -> list[Connection]:
        """Return all connections, by provider and id."""
        return sorted(self._connections.values(), key=lambda c: (c.provider, str(c.id)))


class InMemorySecretStore:
    """Secrets in a dictionary. reads: how often each name was asked for."""

    def __init__(self, secrets: Mapping[str, Sequence[str]] | None = None) -> None:
        """secrets: versions by name, newest first."""
        self._secrets = {name: tuple(versions) for name, versions in (secrets or {}).items()}
        self.reads: dict[str, int] = {}

    def versions(self, name: str) -> tuple[str, ...]:
        """Return every version, newest first; empty if there is no such secret."""
        self.reads[name] = self.reads.get(name, 0) + 1
        return self._secrets.get(name, ())

    def add_version(self, name: str, value: str, *, keep: int = 2) -> None:
        """Put a new version first and keep that many in all."""
        self._secrets[name] = (value, *self._secrets.get(name, ()))[:keep]


class InMemoryScheduler:
    """Schedules that only remember."""

    def __init__(self, next_at: Mapping[JobName, datetime], *, now: datetime) -> None:
        """next_at: when each is due. now: when those are fired that are told to."""
        self._next_at = next_at
        self._now = now
        self._paused: set[JobName] = set()
        self.ran: list[JobName] = []

    def jobs(self) -> list[ScheduledJob]:
        """Return the schedules, by name."""
        return [
            ScheduledJob(
                name=name,
                cron="",
                time_zone="Etc/UTC",
                paused=name in self._paused,
                next_at=None if name in self._paused else at,
                last_at=self._now if name in self.ran else None,
            )
            for name, at in sorted(self._next_at.items())
        ]

    def pause(self, name: JobName) -> None:
        """Fire the job no more until it is resumed."""
        self._paused.add(self._known(name))

    def resume(self, name: JobName) -> None:
        """Fire the job when it is due again."""
        self._paused.discard(self._known(name))

    def run(self, name: JobName) -> None:
        """Fire the job now."""
        self.ran.append(self._known(name))

    def _known(self, name: JobName) -> JobName:
        if name not in self._next_at:
            raise PoisonError("not_found", f"{name} has no schedule")
        return name
