"""What the events of one transaction write, gathered so that each kind of row takes one statement for all of them.

Nothing here decides: the order of writes within a transaction is not visible to anybody else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from shared.adapters.postgres import claim_names, claims, decisions
from shared.adapters.postgres.claim_rows import Stated
from shared.adapters.postgres.decisions import Decided
from shared.adapters.postgres.spending import Spending
from shared.domain.claims import Record, SubmittedClaim
from shared.domain.events import Event, Message, Outgoing, trace_id
from shared.domain.ids import claim_id
from shared.runtime.envelope import to_attributes

CHUNK: Final = 500  # rows of a kind that are written at a time: it bounds memory, not meaning
FOLDED_AT_ONCE: Final = 100  # claims: the fold's plan is made for a few, and costs the square of them
MOST_HELD: Final = 500  # messages of an event that are kept at hand for publishing; the outbox has the others

EMIT = text("""
INSERT INTO outbox (id, customer_id, consumer, parent_id, topic, event_type, trace_id, attributes, data)
SELECT id, CAST(:customer_id AS uuid), :consumer, parent_id, topic, event_type, trace_id, attributes,
    convert_to(data, 'UTF8')
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
    id uuid, parent_id uuid, topic text, event_type text, trace_id text, attributes jsonb, data text)
ORDER BY id
ON CONFLICT (id) DO NOTHING
RETURNING id
""")


@dataclass(slots=True)
class Sent:
    """What one event put into the outbox that was not there, in the order in which it was written: the first of it.

    more: that is not all.
    """

    ids: list[UUID] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    more: bool = False

    def add(self, key: UUID, message: Message) -> None:
        """Note a message, or that there are more than can be held."""
        if len(self.ids) == MOST_HELD:
            self.more = True
            return
        self.ids.append(key)
        self.messages.append(message)


@dataclass(frozen=True, slots=True)
class _Letter:
    outgoing: Outgoing
    cause: Event
    sent: Sent


class Gathered:
    """The writes of one transaction that still have to be made."""

    def __init__(self, connection: Connection, customer_id: UUID, consumer: str) -> None:
        """connection: in a transaction of the customer's."""
        self._connection = connection
        self._customer_id = customer_id
        self._consumer = consumer
        self._stated: list[Stated[Record]] = []
        self._touched: set[UUID] = set()
        self._named: dict[UUID, UUID] = {}  # claims, by the ids that their names alone would make
        self._letters: dict[UUID, _Letter] = {}
        self._decided = Decided()
        self.spending = Spending(connection, customer_id)

    def store(self, event: Event, nth: int, records: Sequence[Record]) -> None:
        """Add what an event's payload states; the fold of the claims it touches waits for the end."""
        self._stated += [Stated(event.id, nth, record) for record in records]
        self._named |= {
            claim_id(self._customer_id, r.claim_name): claim_id(self._customer_id, r.claim_number)
            for r in records
            if isinstance(r, SubmittedClaim) and r.is_named_besides
        }
        if len(self._stated) >= CHUNK:
            self._write_records()

    def emit(self, event: Event, outgoing: Sequence[Outgoing], sent: Sent) -> None:
        """Add events for the outbox. sent: where to note those that were not there."""
        for one in outgoing:  # two deliveries may tell the same: the first of them publishes it
            self._letters.setdefault(one.event.id, _Letter(one, event, sent))
        if len(self._letters) >= CHUNK:
            self._write_outbox()

    def decide(self, decided: Decided) -> None:
        """Add an event's audit trail, and what follows from it."""
        if not self._decided.add(decided):
            self._write_decisions()
            self._decided.add(decided)

    def write(self) -> None:
        """Write all that is left, and bring every touched claim up to date.

        Claims are folded in the order of their ids, so that two transactions cannot deadlock.
        """
        self._write_records()
        self._write_decisions()
        self._write_outbox()
        self.spending.write()
        left = claim_names.take_over(self._connection, self._named) if self._named else set()
        touched = iter(sorted(self._touched | left))
        while some := list(islice(touched, FOLDED_AT_ONCE)):
            claims.fold(self._connection, self._customer_id, some)
        if left:
            claim_names.remove(self._connection, left)

    def _write_records(self) -> None:
        stated, self._stated = self._stated, []
        if stated:
            self._touched |= claims.store(self._connection, self._customer_id, stated)

    def _write_decisions(self) -> None:
        decided, self._decided = self._decided, Decided()
        if decided.executions or decided.alerts:
            decisions.decide(self._connection, self._customer_id, decided)

    def _write_outbox(self) -> None:
        letters, self._letters = self._letters, {}
        if not letters:
            return
        messages = {
            key: Message(
                letter.outgoing.topic, letter.outgoing.event.data, to_attributes(letter.outgoing.event)
            )
            for key, letter in letters.items()
        }
        rows = [
            {
                "id": key,
                "parent_id": letter.cause.id,
                "topic": letter.outgoing.topic,
                "event_type": letter.outgoing.event.type,
                "trace_id": trace_id(letter.outgoing.event.trace_parent),
                "attributes": messages[key].attributes,
                "data": letter.outgoing.event.data.decode(),
            }
            for key, letter in letters.items()
        ]
        new = self._connection.execute(
            EMIT,
            {
                "customer_id": str(self._customer_id),
                "consumer": self._consumer,
                "rows": orjson.dumps(rows).decode(),
            },
        ).scalars()
        for key in new:
            letters[key].sent.add(key, messages[key])
