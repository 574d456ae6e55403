"""The drill: load, damage, a lost disk, recovery to a point in time, replay, and a comparison with a quiet run."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, text

from local.drill.archived import ArchivedPostgres
from local.drill.topics import RetainedTopics
from local.postgres import OWNER
from local.sample_month import SampleDelivery
from local.sample_month.month import SampleMonth
from local.soak.state import EndState, read_state
from local.soak.world import Senders, set_up, wanted_of
from shared.adapters.postgres.engine import build_engine
from shared.domain.events import Event, Outgoing
from shared.domain.ids import event_id
from shared.handlers.apply_rules import apply_rules
from shared.handlers.process_webhook import process_webhook
from shared.ports.clock import system_clock
from shared.ports.record import Emitted
from shared.runtime.bootstrap import App
from shared.runtime.envelope import from_headers, to_message
from shared.runtime.errors import PoisonError
from shared.runtime.settings import Settings

MARGIN: Final = timedelta(seconds=5)  # clocks of broker and record differ; what was taken is dropped
DAMAGE: Final = "UPDATE claims SET paid_cents = 0, status = 'denied'"
UNHEARD: Final = text("""
UPDATE outbox o SET published_at = NULL
WHERE topic = 'domain-events' AND NOT EXISTS (
    SELECT FROM inbox i WHERE i.event_id = o.id AND i.consumer = 'apply_rules')
""")
OLDEST_UNHEARD: Final = text("SELECT min(created_at) FROM outbox WHERE published_at IS NULL")
TAKEN: Final = text("SELECT CAST(event_id AS text) FROM inbox WHERE consumer = 'process_webhook'")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a drill came to. Times in seconds. state, expected: of this run, and of one without any trouble.

    accepted: events that were durable in a topic, so that a payer had its 202. undone: of these, taken by the record
    after the point it was recovered to. repeats: messages that the replay brought and the record had already.
    """

    accepted: frozenset[str]
    found: frozenset[str]
    undone: int
    damaged_for_s: float
    recovered_s: float
    replayed_s: float
    replayed: int
    repeats: int
    expected: EndState
    state: EndState

    @property
    def missing(self) -> frozenset[str]:
        """Accepted, and not in the record."""
        return self.accepted - self.found

    @property
    def down_s(self) -> float:
        """From the loss until nothing is left to do."""
        return self.recovered_s + self.replayed_s


class Pipeline:
    """The record's handlers on one server, fed from topics that outlive it."""

    def __init__(self, settings: Settings, topics: RetainedTopics, senders: Senders) -> None:
        self.app = App(settings)
        self.topics = topics
        self.senders = senders
        self.heard = {"webhook-events": topics.position(), "domain-events": topics.position()}
        self.handled = 0
        self.repeats = 0

    def accept(self, delivery: SampleDelivery) -> str:
        """Make a delivery durable, as ingress does, which needs no database; return its event's id."""
        connection = self.senders[delivery.practice, delivery.provider]
        event = Event(
            id=event_id(connection.id, delivery.delivery_id, sha256(delivery.body).hexdigest()),
            type="webhook.received",
            source=f"/connections/{connection.id}",
            subject=f"connections/{connection.id}",
            time=delivery.at,
            customer_id=connection.customer_id,
            data=delivery.body,
            content_type=delivery.content_type,
            trace_parent=f"00-{connection.id.hex}-{connection.id.hex[:16]}-01",
            extensions={
                "connectionid": str(connection.id),
                "provider": connection.provider,
                "payloadformat": connection.format,
                "deliveryid": delivery.delivery_id,
            },
        )
        self.topics.publish([to_message(Outgoing("webhook-events", event))])
        return str(event.id)

    def drain(self) -> None:
        """Handle what the subscriptions have not heard: the transaction commits, is published, marked, acknowledged."""
        while self._drain("webhook-events") + self._drain("domain-events"):
            pass

    def close(self) -> None:
        """Close the connections."""
        self.app.engine.dispose()

    def _drain(self, topic: str) -> int:
        handled = 0
        for position, message in self.topics.after(self.heard[topic], topic):
            headers = {name.lower(): value for name, value in message.attributes.items()}
            received = [from_headers(headers, message.data)]
            with suppress(PoisonError):  # a dead letter, which is not this drill's matter
                if topic == "webhook-events":
                    [emitted] = process_webhook(
                        received, record=self.app.record, payloads=self.app.payloads, clock=system_clock
                    )
                    self.repeats += not emitted.messages
                    self._relay(emitted, "process_webhook")
                else:
                    [emitted] = apply_rules(
                        received, record=self.app.record, book=self.app.book, clock=system_clock
                    )
                    self._relay(emitted, "apply_rules")
            self.heard[topic] = position
            handled += 1
        self.handled += handled
        return handled

    def _relay(self, emitted: Emitted, consumer: str) -> None:
        record = self.app.record
        while emitted.messages:
            self.topics.publish(list(emitted.messages))
            record.mark_published([emitted])
            if emitted.more_of is None:
                break
            emitted = record.unpublished(consumer, emitted.more_of, customer_id=emitted.customer_id)


def drill(home: Path, deliveries: Sequence[SampleDelivery], months: Sequence[SampleMonth]) -> Outcome:
    """Play the drill on an empty folder. Everything it started has ended by then."""
    expected = _quietly(home / "quiet", deliveries, months)
    folder = home / "drilled"
    folder.mkdir(parents=True)
    topics = RetainedTopics(folder / "topics.sqlite")
    with ArchivedPostgres(folder) as postgres:
        settings = postgres.prepare(Settings(home=folder))
        senders = _set_up(settings, deliveries, months)
        postgres.archive()
        postgres.back_up()
        pipeline = Pipeline(settings, topics, senders)
        accepted = [pipeline.accept(delivery) for delivery in deliveries[: len(deliveries) // 2]]
        pipeline.drain()
        point, before = postgres.now(), _taken(settings)
        damaged = time.perf_counter()
        _damage(settings)
        more = deliveries[len(deliveries) // 2 : len(deliveries) * 3 // 4]
        accepted += [pipeline.accept(delivery) for delivery in more]
        pipeline.drain()
        undone = len(_taken(settings) - before)
        pipeline.close()
        postgres.switch()
        lost = time.perf_counter()
        postgres.lose()
        accepted += [pipeline.accept(delivery) for delivery in deliveries[len(deliveries) * 3 // 4 :]]
        postgres.recover(point)
        recovered = time.perf_counter()
        again = _replay(replace(settings, database=postgres.socket_folder), topics, senders, point)
        replayed = time.perf_counter()
        outcome = Outcome(
            accepted=frozenset(accepted),
            found=frozenset(_taken(settings)),
            undone=undone,
            damaged_for_s=lost - damaged,
            recovered_s=recovered - lost,
            replayed_s=replayed - recovered,
            replayed=again.handled,
            repeats=again.repeats,
            expected=expected,
            state=_state(settings),
        )
    topics.close()
    return outcome


def _replay(settings: Settings, topics: RetainedTopics, senders: Senders, point: datetime) -> Pipeline:
    """Bring back what the recovered record lacks (docs/disaster-recovery.md, A.5).

    Domain events that were made after the point came from a damaged record: they are left, and made anew under the
    same ids. Those made before it that no rule was asked about are published by their delivery's repetition.
    """
    engine = build_engine(settings, user="upstream_operator", database=settings.database_name)
    with engine.begin() as connection:
        connection.execute(UNHEARD)
        oldest = connection.execute(OLDEST_UNHEARD).scalar_one()
    engine.dispose()
    pipeline = Pipeline(settings, topics, senders)
    pipeline.heard["webhook-events"] = topics.position(min(point, oldest or point) - MARGIN)
    pipeline.drain()
    pipeline.close()
    return pipeline


def _quietly(home: Path, deliveries: Sequence[SampleDelivery], months: Sequence[SampleMonth]) -> EndState:
    home.mkdir(parents=True)
    topics = RetainedTopics(home / "topics.sqlite", durable=False)
    with ArchivedPostgres(home) as postgres:
        postgres.hurry()
        settings = postgres.prepare(Settings(home=home))
        pipeline = Pipeline(settings, topics, _set_up(settings, deliveries, months))
        for delivery in deliveries:
            pipeline.accept(delivery)
        pipeline.drain()
        pipeline.close()
        state = _state(settings)
    topics.close()
    return state


def _set_up(
    settings: Settings, deliveries: Sequence[SampleDelivery], months: Sequence[SampleMonth]
) -> Senders:
    customers = (delivery.practice for delivery in deliveries)
    return set_up(settings, wanted_of(months, customers), months, "http://127.0.0.1/unused")


def _damage(settings: Settings) -> None:
    """Do what a bad migration might: wrong amounts in every claim, committed."""
    owner = build_engine(settings, user=OWNER, database=settings.database_name)
    with owner.begin() as connection:
        connection.exec_driver_sql(DAMAGE)
    owner.dispose()


def _operator(settings: Settings) -> Engine:
    return build_engine(settings, user="upstream_operator", database=settings.database_name)


def _taken(settings: Settings) -> set[str]:
    engine = _operator(settings)
    with engine.begin() as connection:
        taken = set(connection.execute(TAKEN).scalars())
    engine.dispose()
    return taken


def _state(settings: Settings) -> EndState:
    engine = _operator(settings)
    state = read_state(engine)
    engine.dispose()
    return state
