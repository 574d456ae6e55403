"""Dead letters of one practice, made the way the pipeline makes them."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from shared.adapters.postgres.dead_letters import PostgresDeadLetterDesk
from shared.domain.events import Event, Message
from shared.handlers.dead_letters.plan import Planned, plan_replay
from shared.handlers.dead_letters.replay import Bench, Limits, Report, replay_dead_letters
from shared.handlers.dead_letters.routes import routes
from shared.ports.dead_letters import Run, Wanted
from shared.ports.publisher import Publisher
from shared.runtime.envelope import to_attributes

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

ADVICE = (
    "ISA*00*          *00*          *ZZ*PAYER          *ZZ*PRACTICE       *261101*1200*^*00501*000000001*0*P*:~"
    "GS*HP*PAYER*PRACTICE*20261101*1200*1*X*005010X221A1~ST*835*0001~BPR*I*0*H*NON************20261101~"
    "TRN*1*{number}*1512345678~DTM*405*20261101~N1*PR*OAK HEALTH~N1*PE*PRACTICE*XX*9999999995~LX*1~"
    "CLP*{number}*4*900*0**12*P1~CAS*CO*197*900~NM1*QC*1*ZYXWVUTSON*PAT****MI*QQ998877ZZ~"
    "SVC*HC:99213*900*0~SE*12*0001~GE*1*1~IEA*1*000000001~"
)
PATIENT = ("ZYXWVUTSON", "QQ998877ZZ")
FAST = Limits(rate_per_s=500, patience_s=20)


def advice(number: str) -> bytes:
    """Return a remittance advice that denies one claim."""
    return ADVICE.format(number=number).encode()


def broken(number: str) -> bytes:
    """Return one that no reader takes."""
    return advice(number).replace(b"*4*900*0*", b"*4*nine hundred*0*")


def forwarded(event: Event, subscription: str = "process-webhook") -> Message:
    """Return the message as Pub/Sub forwards it after five attempts."""
    source = {
        "CloudPubSubDeadLetterSourceSubscription": subscription,
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
    }
    return Message("dead-letters", event.data, {**to_attributes(event), **source})


class Practice(PostgresDeadLetterDesk):
    """The desk, with a practice of its own: what it was sent, and what became of it."""

    def __init__(self, pipeline: "Pipeline", *, lease_s: int = 30) -> None:
        super().__init__(pipeline.operator, lease_s=lease_s)
        self.pipeline = pipeline
        self.name = f"Practice {uuid4().hex[:8]}"
        self.customer = pipeline.customer(self.name)
        self.connection = pipeline.connection(self.customer)
        self.ours = Wanted(customer_id=self.customer, state="open")

    def event(self, body: bytes, event_id: UUID | None = None, customer: UUID | None = None) -> Event:
        """Return a delivery as `receive_webhook` would have published it."""
        return Event(
            id=event_id or uuid4(),
            type="webhook.received",
            source=f"/connections/{self.connection.id}",
            subject=f"connections/{self.connection.id}",
            time=datetime.now(UTC),
            customer_id=customer or self.customer,
            data=body,
            content_type="application/edi-x12",
            trace_parent=f"00-{uuid4().hex}-{uuid4().hex[:16]}-01",
            extensions={"connectionid": str(self.connection.id), "payloadformat": "auto"},
        )

    def sends(self, body: bytes) -> UUID:
        """Deliver a file and wait until nothing is under way; return its event."""
        reply = self.pipeline.send(self.connection, body)
        assert reply.status == 202
        assert self.pipeline.drained()
        return UUID(reply.body["event_id"])

    def keep(self, *messages: Message) -> None:
        """Put messages among the dead letters."""
        self.publish(messages)
        assert self.pipeline.drained()

    def keep_advices(self, count: int, body: Any = advice) -> None:  # noqa: ANN401 - a function of a number
        """Put so many advices among the dead letters that their consumer has not taken."""
        self.keep(*(forwarded(self.event(body(f"C{n:03}"))) for n in range(count)))

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish, and do not wait."""
        asyncio.run(self.pipeline.app.publisher.publish(messages, timeout_s=10))

    def replay(
        self,
        wanted: Wanted | None = None,
        *,
        publisher: Publisher | None = None,
        limits: Limits = FAST,
        **more: Any,  # noqa: ANN401 - of the run
    ) -> Report:
        """Replay the open letters of this practice, or others."""
        run = Run(**{"batch_id": uuid4(), "by": "ada", "why": "fixed", **more})
        bench = Bench(self, publisher or self.pipeline.app.publisher, routes(), time.monotonic)
        return asyncio.run(replay_dead_letters(wanted or self.ours, run, bench=bench, limits=limits))

    def plan(self, wanted: Wanted | None = None, replay_id: str = "") -> list[Planned]:
        """Return what a replay would do."""
        pages = plan_replay(wanted or self.ours, desk=self, routes=routes(), replay_id=replay_id)
        return [planned for page in pages for planned in page]

    def refusals(self, wanted: Wanted | None = None, replay_id: str = "") -> list[str | None]:
        """Return why a replay would refuse each letter."""
        return [planned.refusal for planned in self.plan(wanted, replay_id)]

    def rows(self, table: str) -> list[Mapping[str, Any]]:
        """Return this practice's rows of a table."""
        return self.pipeline.rows(
            f"SELECT * FROM {table} WHERE customer_id = CAST(:customer AS uuid)",  # noqa: S608
            customer=str(self.customer),
        )

    def count(self, table: str) -> int:
        """Return how many rows this practice has in a table."""
        [row] = self.pipeline.rows(
            f"SELECT count(*) AS n FROM {table} WHERE customer_id = CAST(:customer AS uuid)",  # noqa: S608
            customer=str(self.customer),
        )
        return int(row["n"])

    def states(self) -> set[tuple[str, str]]:
        """Return the states of letters, each with the outcome of its newest replay."""
        outcomes = {row["id"]: row["outcome"] for row in self.rows("dead_letter_replays")}
        return {(row["state"], outcomes.get(row["last_replay"], "")) for row in self.rows("dead_letters")}
