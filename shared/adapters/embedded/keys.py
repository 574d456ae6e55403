"""`IdempotencyStore` in PostgreSQL. Claims that arrive together are written together."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import TypeVar

import orjson
from sqlalchemy import Engine, RowMapping, TextClause, text

from shared.adapters.key_rules import check_key
from shared.adapters.postgres.engine import database_errors
from shared.ports.clock import Clock
from shared.ports.idempotency import Claim, Settled
from shared.runtime.batcher import Batcher
from shared.runtime.errors import PoisonError, TransientError
from shared.runtime.settings import STORE_TIMEOUT_S

T = TypeVar("T")

CLAIM = text("""
WITH asked AS (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
        key text, token text, payload_sha256 text, lease_expires_at timestamptz, expires_at timestamptz)
), taken AS (
    INSERT INTO keys AS k (key, state, token, payload_sha256, lease_expires_at, expires_at)
    SELECT key, 'claimed', token, payload_sha256, lease_expires_at, expires_at FROM asked ORDER BY key
    ON CONFLICT (key) DO UPDATE SET
        state = 'claimed', token = EXCLUDED.token, payload_sha256 = EXCLUDED.payload_sha256, outcome = NULL,
        lease_expires_at = EXCLUDED.lease_expires_at, expires_at = EXCLUDED.expires_at
    WHERE k.expires_at <= CAST(:now AS timestamptz)
        OR (k.state = 'claimed' AND k.payload_sha256 = EXCLUDED.payload_sha256
            AND k.lease_expires_at <= CAST(:now AS timestamptz))
    RETURNING key, token, xmax = 0 AS created
)
SELECT key, token, created FROM taken
""")

LOOK_UP = text("""
SELECT key, state, payload_sha256, outcome FROM keys WHERE key = ANY(CAST(:keys AS text[]))
""")

SETTLE = text("""
UPDATE keys k SET state = 'settled', outcome = r.outcome
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(key text, token text, outcome jsonb)
WHERE k.key = r.key AND k.token = r.token AND k.state = 'claimed'
RETURNING k.key, k.token
""")

RELEASE = text("DELETE FROM keys WHERE key = :key AND token = :token AND state = 'claimed'")

SWEEP = text("DELETE FROM keys WHERE expires_at <= CAST(:now AS timestamptz)")


@dataclass(frozen=True, slots=True)
class _Ask:
    key: str
    token: str
    payload_sha256: str
    lease_s: float
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Settlement:
    claim: Claim
    outcome: Mapping[str, str]


class EmbeddedIdempotencyStore:
    """Keys in one table. A commit here is flushed by the publish that follows it at the latest (docs/adr/0004)."""

    def __init__(self, engine: Engine, *, clock: Clock) -> None:
        """engine: of the embedded runtime's own database."""
        self._engine = engine
        self._clock = clock
        self._claims: Batcher[_Ask, Claim | Settled] = Batcher(self._claim_all)
        self._settlements: Batcher[_Settlement, bool] = Batcher(self._settle_all)

    async def claim(
        self, key: str, *, payload_sha256: str, lease_s: float, expires_at: datetime
    ) -> Claim | Settled:
        """Own `key` until the lease ends, or return the outcome someone already reached."""
        check_key(key)
        ask = _Ask(key, token_hex(8), payload_sha256, lease_s, expires_at)
        return await _within(self._claims.submit(ask))

    async def settle(self, claim: Claim, outcome: Mapping[str, str]) -> None:
        """Keep the outcome for whoever asks again."""
        if not await _within(self._settlements.submit(_Settlement(claim, outcome))):
            raise TransientError("claim_lost")

    async def release(self, claim: Claim) -> None:
        """Give the key up, unless the claim was taken over."""
        await _within(asyncio.to_thread(self._run, RELEASE, {"key": claim.key, "token": claim.token}))

    async def ready(self) -> None:
        """Return if the database answers."""
        await _within(asyncio.to_thread(self._ping))

    async def sweep(self) -> None:
        """Delete expired keys, as Firestore's TTL policy does."""
        await asyncio.to_thread(self._run, SWEEP, {"now": self._clock().isoformat()})

    async def _claim_all(self, asks: Sequence[_Ask]) -> Sequence[Claim | Settled | Exception]:
        return await asyncio.to_thread(self._claim_now, asks)

    def _claim_now(self, asks: Sequence[_Ask]) -> list[Claim | Settled | Exception]:
        """Claim in rounds, each key once a round: of several asks for one key, each sees what the one before it did."""
        answers: dict[str, Claim | Settled | Exception] = {}
        left = list(asks)
        while left:
            first = {ask.key: ask for ask in reversed(left)}
            answers |= self._claim_once(list(first.values()))
            left = [ask for ask in left if ask.token not in answers]
        return [answers[ask.token] for ask in asks]

    def _claim_once(self, asks: Sequence[_Ask]) -> dict[str, Claim | Settled | Exception]:
        """Claim different keys in one statement; return the answer to each ask by its token."""
        now = self._clock().astimezone(UTC)
        given = {"rows": orjson.dumps([_row(ask, now) for ask in asks]).decode(), "now": now.isoformat()}
        with database_errors(), self._engine.connect() as connection:
            taken = {row.token: row.created for row in connection.execute(CLAIM, given)}
            others = [ask.key for ask in asks if ask.token not in taken]
            found = _by_key(connection.execute(LOOK_UP, {"keys": others}).mappings()) if others else {}
        return {
            ask.token: Claim(ask.key, ask.token, taken[ask.token])
            if ask.token in taken
            else _refuse(ask, found.get(ask.key))
            for ask in asks
        }

    async def _settle_all(self, settlements: Sequence[_Settlement]) -> Sequence[bool | Exception]:
        return await asyncio.to_thread(self._settle_now, settlements)

    def _settle_now(self, settlements: Sequence[_Settlement]) -> list[bool | Exception]:
        rows = [{"key": s.claim.key, "token": s.claim.token, "outcome": dict(s.outcome)} for s in settlements]
        with database_errors(), self._engine.connect() as connection:
            settled = {
                tuple(row) for row in connection.execute(SETTLE, {"rows": orjson.dumps(rows).decode()})
            }
        return [(s.claim.key, s.claim.token) in settled for s in settlements]

    def _run(self, statement: TextClause, parameters: Mapping[str, object]) -> None:
        with database_errors(), self._engine.connect() as connection:
            connection.execute(statement, parameters)

    def _ping(self) -> None:
        with database_errors(), self._engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")


def _row(ask: _Ask, now: datetime) -> dict[str, object]:
    return {
        "key": ask.key,
        "token": ask.token,
        "payload_sha256": ask.payload_sha256,
        "lease_expires_at": now + timedelta(seconds=ask.lease_s),
        "expires_at": ask.expires_at,
    }


def _by_key(rows: Iterable[RowMapping]) -> dict[str, RowMapping]:
    return {row["key"]: row for row in rows}


def _refuse(ask: _Ask, row: RowMapping | None) -> Settled | Exception:
    """Return what an ask that did not get the key is told."""
    if row is None:  # it expired between the two statements
        return TransientError("key_held", ask.key)
    if row["payload_sha256"] != ask.payload_sha256:
        return PoisonError("key_reused", ask.key)
    return (
        Settled(ask.key, row["outcome"]) if row["state"] == "settled" else TransientError("key_held", ask.key)
    )


async def _within(answer: Awaitable[T]) -> T:
    """Return the answer, or raise TransientError when it does not come in time."""
    try:
        async with asyncio.timeout(STORE_TIMEOUT_S):
            return await answer
    except TimeoutError as exc:
        raise TransientError("timeout", "idempotency store") from exc
