"""Pulls from Pub/Sub what production pushes, and leaves the posting to `local/broker.py`.

Google's emulator cannot push for us: with a dead-letter policy on a push subscription its push thread crashes, and it
spoils data that is not UTF-8. On pull subscriptions everything works. Pub/Sub itself counts attempts, backs off and
dead-letters: what was not acknowledged is handed back with a deadline of zero. Unary pulls, because the emulator's
streaming pull hands out a whole backlog whatever bound it is given; they are quicker there, too (19 against 28 ms).
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from typing import Final

import grpc.aio
from google.pubsub_v1 import SubscriberAsyncClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport
from google.pubsub_v1.types import AcknowledgeRequest, ModifyAckDeadlineRequest, PullRequest, ReceivedMessage

from local.broker import Leased
from local.push import Pushed
from local.subscriptions import Subscription
from shared.adapters.google_calls import async_retry, google_errors
from shared.runtime.errors import TransientError

PULL_TIMEOUT_S: Final = 40.0  # Pub/Sub answers an empty pull after some thirty seconds
CALL_TIMEOUT_S: Final = 10.0
AWAY_S: Final = 0.25
FORWARDED: Final = "CloudPubSubDeadLetterSourceDeliveryCount"

Key = tuple[str, str]


class Bridge:
    """One project's pull subscriptions as a source of messages.

    It keeps book of the messages that it handed back, since Pub/Sub tells nobody how many it still has.
    """

    def __init__(
        self, host: str, project_id: str, declared: Sequence[Subscription], *, max_delivery_attempts: int
    ) -> None:
        """host: the emulator's `host:port`. Made in the event loop that uses it."""
        self._channel = grpc.aio.insecure_channel(host, options=[("grpc.max_receive_message_length", -1)])
        self._client = SubscriberAsyncClient(transport=SubscriberGrpcAsyncIOTransport(channel=self._channel))
        self._project_id = project_id
        self._declared = {subscription.name: subscription for subscription in declared}
        self._max_delivery_attempts = max_delivery_attempts
        self._pulls: dict[str, asyncio.Task[list[Leased]]] = {}
        self._open: set[Key] = set()
        self._letters_due = 0
        self._moved_at = time.monotonic()

    async def close(self) -> None:
        """Stop pulling, and close the channel."""
        for pull in self._pulls.values():
            pull.cancel()
        await asyncio.gather(*self._pulls.values(), return_exceptions=True)
        await self._channel.close()

    def idle_s(self) -> float:
        """Return for how long nothing has happened while nothing was due.

        Due is a message that was pulled and not acknowledged, also while it backs off, and a dead letter that Pub/Sub
        has yet to forward. A message that was published and not pulled yet is not known here: give it a moment.
        """
        return 0.0 if self._open or self._letters_due else time.monotonic() - self._moved_at

    async def pull(self, wanted: Mapping[str, int], *, wake: Callable[[], None]) -> list[Leased]:
        """Return what has arrived, and ask for more: one request at a time waits at Pub/Sub for each subscription."""
        arrived: list[Leased] = []
        for name, room in wanted.items():
            pull = self._pulls.get(name)
            if pull is not None and not pull.done():
                continue  # it asked when there was no more room than now, so what it brings will fit
            leased = [] if pull is None else pull.result()
            arrived += leased
            if room > len(leased):
                self._pulls[name] = asyncio.create_task(self._await_messages(name, room - len(leased)))
                self._pulls[name].add_done_callback(lambda _: wake())
            else:
                self._pulls.pop(name, None)
        return arrived

    async def ack(self, leased: Sequence[Leased]) -> None:
        """Forget messages, those of one subscription in one request."""
        receipts: dict[str, list[str]] = {}
        for one in leased:
            receipts.setdefault(one.pushed.subscription, []).append(one.receipt)
        with google_errors("broker"):
            for name, ack_ids in receipts.items():
                await self._client.acknowledge(
                    request=AcknowledgeRequest(subscription=self._path(name), ack_ids=ack_ids),
                    timeout=CALL_TIMEOUT_S,
                    retry=async_retry(CALL_TIMEOUT_S),
                )
        self._open.difference_update(_key(one) for one in leased)
        self._moved_at = time.monotonic()

    async def nack(self, leased: Leased) -> None:
        """Hand a message back: Pub/Sub lets it wait, or forwards it to the dead-letter topic after its last attempt."""
        name = leased.pushed.subscription
        last = leased.pushed.attempt >= self._max_delivery_attempts
        if last and self._declared[name].dead_letter_topic and _key(leased) in self._open:
            self._open.discard(_key(leased))
            self._letters_due += 1
        request = ModifyAckDeadlineRequest(
            subscription=self._path(name), ack_ids=[leased.receipt], ack_deadline_seconds=0
        )
        with google_errors("broker"):
            await self._client.modify_ack_deadline(
                request=request, timeout=CALL_TIMEOUT_S, retry=async_retry(CALL_TIMEOUT_S)
            )
        self._moved_at = time.monotonic()

    async def _await_messages(self, name: str, room: int) -> list[Leased]:
        """Return messages, or nothing after a while or while Pub/Sub is away."""
        request = PullRequest(subscription=self._path(name), max_messages=room)
        try:
            with google_errors("broker"):
                answer = await self._client.pull(request=request, timeout=PULL_TIMEOUT_S, retry=None)
        except TransientError:
            await asyncio.sleep(AWAY_S)
            return []
        return [self._lease(name, received) for received in answer.received_messages]

    def _lease(self, name: str, received: ReceivedMessage) -> Leased:
        """Return a pulled message, noted as open. Without a dead-letter policy Pub/Sub counts no attempts."""
        raw = ReceivedMessage.pb(received)  # the wrapper converts at every access
        pushed = Pushed(
            subscription=name,
            message_id=raw.message.message_id,
            published_at=raw.message.publish_time.ToDatetime(UTC),
            attempt=raw.delivery_attempt or 1,
            attributes=dict(raw.message.attributes),
            data=raw.message.data,
            project=self._project_id,
        )
        leased = Leased(raw.ack_id, pushed)
        if FORWARDED in pushed.attributes and _key(leased) not in self._open:
            self._letters_due = max(0, self._letters_due - 1)
        self._open.add(_key(leased))
        self._moved_at = time.monotonic()
        return leased

    def _path(self, name: str) -> str:
        return f"projects/{self._project_id}/subscriptions/{name}"


def _key(leased: Leased) -> Key:
    return leased.pushed.subscription, leased.pushed.message_id
