"""`EventRecord` in PostgreSQL: the inbox decides whether an event is new, the outbox holds what it caused."""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import orjson
import pg8000
from sqlalchemy import Connection, Engine, text

from shared.adapters.postgres import action_rows, claim_names, decisions, payer_windows, spending
from shared.adapters.postgres.decisions import Decided
from shared.adapters.postgres.engine import database_errors
from shared.adapters.postgres.gathered import MOST_HELD, Gathered, Sent
from shared.domain.claims import Record
from shared.domain.commands import Action, Alert, Execution, Hold, Risk
from shared.domain.events import Event, Message, Outgoing, Received, trace_id
from shared.domain.spending import Controls, Spent
from shared.ports.ledger import ActionClaim, Appeal, AppealAnswer, Ending, ReleasedAction
from shared.ports.record import ClaimCourse, DeadLetter, Emitted, PayerDay
from shared.runtime.errors import PoisonError, TransientError
from shared.runtime.spans import step

if TYPE_CHECKING:
    from shared.ports.jobs import JobWork

if __debug__:
    from shared.runtime.crash_points import reach

TAKE = text("""
INSERT INTO inbox (consumer, event_id, customer_id, event_type, trace_id, event_at, attempt)
SELECT :consumer, r.event_id, c.id, r.event_type, r.trace_id, r.event_at, r.attempt
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
    event_id uuid, event_type text, trace_id text, event_at timestamptz, attempt integer)
JOIN customers c ON c.id = CAST(:customer_id AS uuid)
ORDER BY r.event_id
ON CONFLICT (event_id, consumer) DO NOTHING
RETURNING event_id, (SELECT rules_version FROM customers WHERE id = inbox.customer_id) AS rules_version
""")

KNOWN_CUSTOMER = text("SELECT rules_version FROM customers WHERE id = CAST(:customer_id AS uuid)")

UNPUBLISHED = text("""
SELECT id, topic, attributes, data FROM outbox
WHERE parent_id = CAST(:parent_id AS uuid) AND consumer = :consumer AND published_at IS NULL
ORDER BY id LIMIT CAST(:limit AS integer)
""")

MARK_PUBLISHED = text("""
UPDATE outbox SET published_at = clock_timestamp() WHERE id = ANY(CAST(:ids AS uuid[])) AND published_at IS NULL
""")


class PostgresEventTransaction:
    """One event's part in a transaction. Made by `PostgresEventRecord.events` only, which also ends it."""

    def __init__(
        self, connection: Connection, gathered: Gathered, event: Event, nth: int, version: int | None
    ) -> None:
        """version: of the customer's rules; None if this consumer has taken the event before."""
        self._connection = connection
        self._gathered = gathered
        self._event = event
        self._nth = nth
        self._customer_id = event.customer_id
        self._version = version
        self.sent = Sent()

    @property
    def repeat(self) -> bool:
        """Whether this consumer has taken the event before."""
        return self._version is None

    @property
    def rules_version(self) -> int:
        """The version of the customer's rule set as of this transaction."""
        return self._version or 0

    @property
    def jobs(self) -> "JobWork":
        """What a scheduled job reads and writes in this transaction, at once."""
        from shared.adapters.postgres.jobs.work import PostgresJobWork

        return PostgresJobWork(self._connection, self._customer_id)

    @property
    def emitted(self) -> Emitted:
        """Whatever of this event's is in the outbox and not published, once the transaction has committed."""
        return _emitted(self._customer_id, self._event.id, self.sent)

    def emit(self, outgoing: Sequence[Outgoing]) -> None:
        """Put events into the outbox, unless they are there already."""
        self._gathered.emit(self._event, outgoing, self.sent)

    def store(self, records: Sequence[Record]) -> None:
        """Add what a payer or provider stated; the fold of the claims it touches waits for the commit."""
        self._gathered.store(self._event, self._nth, records)

    def claim_numbers(self, asked: Iterable[str], noted: Mapping[str, str]) -> Mapping[str, str]:
        """Note the numbers of claims by their servers' names; return those of the names asked for that are known."""
        return claim_names.claim_numbers(self._connection, self._customer_id, asked, noted)

    def rules(self) -> Sequence[Mapping[str, object]]:
        """Return the customer's active rule documents."""
        return decisions.rules(self._connection, self._customer_id)

    def controls(self) -> Controls:
        """Return what stops the customer's rules."""
        return spending.controls(self._connection, self._customer_id)

    def spent(self, scope: str, *, since: date) -> Sequence[Spent]:
        """Return what rules did within a scope from a day on."""
        return self._gathered.spending.spent(scope, since=since)

    def spend(self, scope: str, *, on: date, amount_cents: int) -> None:
        """Note that a rule acted once more within a scope."""
        self._gathered.spending.spend(scope, on=on, amount_cents=amount_cents)

    def denials_in_a_row(self, *, payer_key: str, claim_id: UUID) -> int | None:
        """Return the denials in a row up to and with this claim."""
        return decisions.denials_in_a_row(
            self._connection, self._customer_id, payer_key=payer_key, claim_id=claim_id
        )

    def claim_course(self, claim_id: UUID) -> ClaimCourse:
        """Return how a claim has gone."""
        return decisions.claim_course(self._connection, claim_id)

    def payer_days(self, *, payer_key: str, since: date) -> Sequence[PayerDay]:
        """Return what the payer decided on each day from `since` on."""
        return payer_windows.days(self._connection, self._customer_id, payer_key=payer_key, since=since)

    def last_payment_on(self, *, payer_key: str) -> date | None:
        """Return the last day on which the payer paid anything."""
        return payer_windows.last_payment_on(self._connection, self._customer_id, payer_key=payer_key)

    def denied_cents(self, *, payer_key: str, since: date) -> int:
        """Return what was charged for claims that the payer denied since a day."""
        return payer_windows.denied_cents(
            self._connection, self._customer_id, payer_key=payer_key, since=since
        )

    def contracted_cents(self, *, payer_key: str, procedures: Sequence[str], on: date) -> Mapping[str, int]:
        """Return the contracted amount by procedure as of a date."""
        return decisions.contracted_cents(
            self._connection, self._customer_id, payer_key=payer_key, procedures=procedures, on=on
        )

    def denial_rate(self, *, payer_key: str, procedure: str, since: date) -> float | None:
        """Return how often the payer denies the procedure; None where nothing is known of it."""
        return decisions.denial_rate(
            self._connection, self._customer_id, payer_key=payer_key, procedure=procedure, since=since
        )

    def open_denial_streak(self, *, payer_key: str) -> int:
        """Return the denials in a row among the payer's newest decisions."""
        return decisions.open_denial_streak(self._connection, self._customer_id, payer_key=payer_key)

    def decide(
        self,
        executions: Sequence[Execution],
        *,
        actions: Sequence[Action] = (),
        alerts: Sequence[Alert] = (),
        holds: Sequence[Hold] = (),
        risks: Sequence[Risk] = (),
    ) -> None:
        """Write the audit trail of the event and what follows from it."""
        decided = Decided([*executions], [*actions], [*alerts])
        for hold in holds:
            decided.hold(hold)
        for risk in risks:
            decided.score(risk)
        self._gathered.decide(decided)

    def end_action(self, claim: ActionClaim, ending: Ending) -> None:
        """Write an action's result."""
        action_rows.end(self._connection, claim, ending)

    def park_action(self, action_id: UUID) -> None:
        """Note that no message is under way for an action."""
        self._connection.execute(action_rows.PARK, {"id": str(action_id)})

    def release_actions(self, *, now: datetime, most: int) -> Sequence[ReleasedAction]:
        """Take the customer's parked actions that are due out of parking."""
        return action_rows.release(self._connection, self._customer_id, now=now, most=most)

    def record_appeal(self, appeal: Appeal) -> None:
        """Note that an appeal was submitted."""
        action_rows.record_appeal(self._connection, self._customer_id, appeal)

    def answer_appeals(self, answer: AppealAnswer) -> None:
        """Note what a payer answered to the claim's pending appeals."""
        action_rows.answer_appeals(self._connection, self._customer_id, answer)

    def keep_dead_letter(self, letter: DeadLetter) -> None:
        """Keep a dead letter, or bring the one that is there up to date."""
        decisions.keep_dead_letter(self._connection, letter)


class PostgresEventRecord:
    """`EventRecord` over a pool. Each transaction sets its tenant first, and the setting ends with it."""

    def __init__(self, engine: Engine) -> None:
        """engine: connects as `upstream_app`, which row-level security binds."""
        self._engine = engine

    @contextmanager
    def event(self, consumer: str, received: Received) -> Iterator[PostgresEventTransaction]:
        """Begin the event's transaction as its customer; leaving without an error commits."""
        with self.events(consumer, [received]) as (transaction,):
            yield transaction

    @contextmanager
    def events(
        self, consumer: str, received: Sequence[Received]
    ) -> Iterator[Sequence[PostgresEventTransaction]]:
        """Begin one transaction for different events of one customer; leaving without an error commits all of them."""
        customer_id = _customer_of(received)
        causes = [one.event.trace_parent for one in received]
        with (
            step("transaction", "client", causes),
            database_errors(),
            tenant(self._engine, customer_id) as connection,
        ):
            versions = _take(connection, consumer, customer_id, received)
            gathered = Gathered(connection, customer_id, consumer)
            transactions = [
                PostgresEventTransaction(connection, gathered, r.event, nth, versions.get(r.event.id))
                for nth, r in enumerate(received)
            ]
            for one, transaction in zip(received, transactions, strict=True):
                if transaction.repeat:
                    _resume(connection, consumer, one.event.id, transaction.sent)
            yield transactions
            gathered.write()
            if __debug__:
                reach("consumer.in_transaction", consumer)

    def mark_published(self, emitted: Sequence[Emitted]) -> None:
        """Note that the broker has these messages."""
        by_customer: dict[UUID, list[str]] = {}
        for batch in emitted:
            by_customer.setdefault(batch.customer_id, []).extend(map(str, batch.ids))
        with database_errors():
            for customer_id, ids in by_customer.items():
                with tenant(self._engine, customer_id) as connection:
                    connection.execute(MARK_PUBLISHED, {"ids": ids})

    def unpublished(self, consumer: str, event_id: UUID, *, customer_id: UUID) -> Emitted:
        """Return what a consumer committed for an event and nobody has marked published."""
        sent = Sent()
        with database_errors(), tenant(self._engine, customer_id) as connection:
            _resume(connection, consumer, event_id, sent)
        return _emitted(customer_id, event_id, sent)

    def ready(self) -> None:
        """Return if the database answers."""
        with database_errors(), self._engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")


@contextmanager
def tenant(engine: Engine, customer_id: UUID) -> Iterator[Connection]:
    """Begin a transaction that sees one customer's rows; leaving without an error commits it."""
    with engine.begin() as connection:
        _begin_as(connection, customer_id)
        yield connection


def _begin_as(connection: Connection, customer_id: UUID) -> None:
    """Begin and set the tenant in one round trip. The id is a UUID, so nothing can be smuggled into the text."""
    raw = connection.connection.driver_connection
    assert raw is not None  # noqa: S101 - for the type: a checked-out connection has one
    try:
        raw.execute_simple(
            f"BEGIN; SELECT set_config('upstream.customer_id', '{UUID(int=customer_id.int)}', true)"
        )
    except (pg8000.Error, OSError, struct.error) as exc:  # struct: the server went away in mid-message
        connection.invalidate()
        raise TransientError("unavailable", f"database: {type(exc).__name__}") from exc


def _customer_of(received: Sequence[Received]) -> UUID:
    (customer_id,) = {one.event.customer_id for one in received}  # a transaction sees one customer's rows
    return customer_id


def _take(
    connection: Connection, consumer: str, customer_id: UUID, received: Sequence[Received]
) -> dict[UUID, int]:
    """Put events into the inbox; return the version of the customer's rules for each that was not there."""
    rows = [
        {
            "event_id": one.event.id,
            "event_type": one.event.type,
            "trace_id": trace_id(one.event.trace_parent),
            "event_at": one.event.time,
            "attempt": one.attempt,
        }
        for one in received
    ]
    taken = connection.execute(
        TAKE,
        {"consumer": consumer, "customer_id": str(customer_id), "rows": orjson.dumps(rows).decode()},
    )
    versions = {row.event_id: row.rules_version for row in taken}
    if not versions:
        _require_customer(connection, customer_id)
    return versions


def _resume(connection: Connection, consumer: str, event_id: UUID, sent: Sent) -> None:
    """Note what an earlier run of an event committed and did not publish."""
    asked = {"parent_id": str(event_id), "consumer": consumer, "limit": MOST_HELD + 1}
    for row in connection.execute(UNPUBLISHED, asked):
        sent.add(row.id, Message(row.topic, bytes(row.data), row.attributes))


def _emitted(customer_id: UUID, event_id: UUID, sent: Sent) -> Emitted:
    return Emitted(customer_id, tuple(sent.ids), tuple(sent.messages), event_id if sent.more else None)


def _require_customer(connection: Connection, customer_id: UUID) -> None:
    """Raise unless the customer exists: without one, an event would look like a repeat and be lost."""
    if connection.execute(KNOWN_CUSTOMER, {"customer_id": str(customer_id)}).scalar_one_or_none() is None:
        raise PoisonError("unknown_customer", f"no customer {customer_id}")
