"""`EventRecord` in PostgreSQL: the inbox decides whether an event is new, the outbox holds what it caused."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from uuid import UUID

import orjson
import pg8000
from sqlalchemy import Connection, Engine, text

from shared.adapters.postgres import claims, decisions
from shared.adapters.postgres.engine import database_errors
from shared.domain.claims import Record
from shared.domain.commands import Action, Alert, Execution, Hold, Risk
from shared.domain.events import Event, Message, Outgoing, Received, trace_id
from shared.ports.record import DeadLetter, Emitted
from shared.runtime.envelope import to_attributes
from shared.runtime.errors import PoisonError, TransientError

if __debug__:
    from shared.runtime.crash_points import reach

TAKE = text("""
INSERT INTO inbox (consumer, event_id, customer_id, event_type, trace_id, event_at, attempt)
SELECT :consumer, CAST(:event_id AS uuid), id, :event_type, :trace_id, CAST(:event_at AS timestamptz),
    CAST(:attempt AS integer)
FROM customers WHERE id = CAST(:customer_id AS uuid)
ON CONFLICT (event_id, consumer) DO NOTHING
RETURNING (SELECT rules_version FROM customers WHERE id = inbox.customer_id)
""")

KNOWN_CUSTOMER = text("SELECT rules_version FROM customers WHERE id = CAST(:customer_id AS uuid)")

EMIT = text("""
INSERT INTO outbox (id, customer_id, consumer, parent_id, topic, event_type, trace_id, attributes, data)
SELECT id, CAST(:customer_id AS uuid), :consumer, CAST(:parent_id AS uuid), topic, event_type, :trace_id,
    attributes, convert_to(data, 'UTF8')
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(id uuid, topic text, event_type text, attributes jsonb, data text)
ORDER BY id
ON CONFLICT (id) DO NOTHING
RETURNING id
""")

UNPUBLISHED = text("""
SELECT id, topic, attributes, data FROM outbox
WHERE parent_id = CAST(:parent_id AS uuid) AND consumer = :consumer AND published_at IS NULL
ORDER BY id
""")

MARK_PUBLISHED = text("""
UPDATE outbox SET published_at = clock_timestamp() WHERE id = ANY(CAST(:ids AS uuid[])) AND published_at IS NULL
""")


class PostgresEventTransaction:
    """One event's transaction. Made by `PostgresEventRecord.event` only, which also ends it."""

    def __init__(self, connection: Connection, consumer: str, event: Event, version: int | None) -> None:
        """version: of the customer's rules; None if this consumer has taken the event before."""
        self._connection = connection
        self._consumer = consumer
        self._event = event
        self._customer_id = event.customer_id
        self._version = version
        self._touched: set[UUID] = set()

    @property
    def repeat(self) -> bool:
        """Whether this consumer has taken the event before."""
        return self._version is None

    @property
    def rules_version(self) -> int:
        """The version of the customer's rule set as of this transaction."""
        return self._version or 0

    def unpublished(self) -> Emitted:
        """Return what an earlier run of this event committed and did not publish."""
        rows = self._connection.execute(
            UNPUBLISHED, {"parent_id": str(self._event.id), "consumer": self._consumer}
        ).all()
        return Emitted(
            self._customer_id,
            tuple(row.id for row in rows),
            tuple(Message(row.topic, bytes(row.data), row.attributes) for row in rows),
        )

    def emit(self, outgoing: Sequence[Outgoing]) -> Emitted:
        """Put events into the outbox; those already there are left out of the answer."""
        if not outgoing:
            return Emitted(self._customer_id)
        messages = {o.event.id: Message(o.topic, o.event.data, to_attributes(o.event)) for o in outgoing}
        rows = [
            {
                "id": o.event.id,
                "topic": o.topic,
                "event_type": o.event.type,
                "attributes": messages[o.event.id].attributes,
                "data": o.event.data.decode(),
            }
            for o in outgoing
        ]
        ids = self._connection.execute(
            EMIT,
            {
                "customer_id": str(self._customer_id),
                "consumer": self._consumer,
                "parent_id": str(self._event.id),
                "trace_id": trace_id(self._event.trace_parent),
                "rows": orjson.dumps(rows).decode(),
            },
        ).scalars()
        new = tuple(ids)
        return Emitted(self._customer_id, new, tuple(messages[key] for key in new))

    def store(self, records: Sequence[Record]) -> None:
        """Add what a payer or provider stated; the fold of the claims it touches waits for the commit."""
        self._touched |= claims.store(self._connection, self._customer_id, self._event.id, records)

    def fold(self) -> None:
        """Bring every touched claim up to date, in the order of ids so that two transactions cannot deadlock."""
        claims.fold(self._connection, self._customer_id, sorted(self._touched))

    def rules(self) -> Sequence[Mapping[str, object]]:
        """Return the customer's active rule documents."""
        return decisions.rules(self._connection, self._customer_id)

    def denials_in_a_row(self, *, payer_key: str, claim_id: UUID) -> int | None:
        """Return the denials in a row up to and with this claim."""
        return decisions.denials_in_a_row(
            self._connection, self._customer_id, payer_key=payer_key, claim_id=claim_id
        )

    def contracted_cents(self, *, payer_key: str, procedures: Sequence[str], on: date) -> Mapping[str, int]:
        """Return the contracted amount by procedure as of a date."""
        return decisions.contracted_cents(
            self._connection, self._customer_id, payer_key=payer_key, procedures=procedures, on=on
        )

    def denial_counts(self, *, payer_key: str, procedure: str, since: date) -> tuple[int, int]:
        """Return (decided, denied) claims since a day."""
        return decisions.denial_counts(
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
        decisions.decide(
            self._connection,
            self._customer_id,
            executions,
            actions=actions,
            alerts=alerts,
            holds=holds,
            risks=risks,
        )

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
        event = received.event
        with database_errors(), tenant(self._engine, event.customer_id) as connection:
            version = connection.execute(
                TAKE,
                {
                    "consumer": consumer,
                    "event_id": str(event.id),
                    "customer_id": str(event.customer_id),
                    "event_type": event.type,
                    "trace_id": trace_id(event.trace_parent),
                    "event_at": event.time.isoformat(),
                    "attempt": received.attempt,
                },
            ).scalar_one_or_none()
            if version is None:
                _require_customer(connection, event.customer_id)
            transaction = PostgresEventTransaction(connection, consumer, event, version)
            yield transaction
            transaction.fold()
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


def _require_customer(connection: Connection, customer_id: UUID) -> None:
    """Raise unless the customer exists: without one, an event would look like a repeat and be lost."""
    if connection.execute(KNOWN_CUSTOMER, {"customer_id": str(customer_id)}).scalar_one_or_none() is None:
        raise PoisonError("unknown_customer", f"no customer {customer_id}")
