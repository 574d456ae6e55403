"""What tests of `execute_action` share: a customer with a claim and an authorization, and a worker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import orjson

from shared.adapters.evidence_files import FileEvidenceStore
from shared.adapters.memory import InMemorySecretStore
from shared.adapters.memory_portal import InMemoryPdfPrinter, InMemoryPortals, memory_flow
from shared.adapters.postgres.cases import PostgresCaseFiles
from shared.adapters.postgres.ledger import PostgresActionLedger
from shared.adapters.postgres.seats import PostgresSeats
from shared.domain.claims import (
    Adjustment,
    Authorization,
    ClaimPayment,
    Party,
    Patient,
    PaymentStatus,
    Remittance,
    ServiceLine,
)
from shared.domain.commands import Action, Execution
from shared.domain.events import Event, EventType, Received
from shared.domain.ids import authorization_id, claim_id
from shared.domain.manners import Manners
from shared.handlers.execute_action import execute_action
from shared.handlers.portal_visit import Worker
from shared.ports.portal import Flow, PortalAction
from shared.ports.record import Emitted

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

PATIENT = Patient("Zyxwvutson, Pat", "QQ998877ZZ", date(1981, 4, 17))
PASSWORD = "correct-horse-battery"
TOTP = "JBSWY3DPEHPK3PXP"
ACTIONS: Sequence[PortalAction] = (
    "submit_appeal",
    "submit_reauth_request",
    "check_claim_status",
    "check_authorization_status",
)


@dataclass
class Hands:
    """A clock that is moved by hand."""

    now: datetime = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Desk:
    """One customer's actions, done by a worker on PostgreSQL and an in-memory portal."""

    pipeline: "Pipeline"
    folder: Path
    clock: Hands = field(default_factory=Hands)
    echoes: bool = True
    visible_after_s: float = 0.0
    payer: str = ""  # empty is a payer of its own, whose pace is told by this clock
    number: str = "1"
    customer: UUID = field(init=False)
    portals: InMemoryPortals = field(init=False)
    worker: Worker = field(init=False)
    claim: UUID = field(init=False)
    authorization: UUID = field(init=False)

    def __post_init__(self) -> None:
        self.customer = self.pipeline.customer("Practice")
        self.payer = self.payer or f"oak-{self.customer.hex[:12]}"
        self.portals = InMemoryPortals([self._flow(action) for action in ACTIONS], self.clock)
        engine = self.pipeline.app.engine
        secret = {"username": "practice", "password": PASSWORD, "totp_secret": TOTP}
        self.worker = Worker(
            record=self.pipeline.app.record,
            ledger=PostgresActionLedger(engine),
            cases=PostgresCaseFiles(engine),
            seats=PostgresSeats(engine),
            portals=lambda: self.portals,
            printer=InMemoryPdfPrinter(),
            evidence=FileEvidenceStore(self.folder / "evidence"),
            secrets=InMemorySecretStore(
                {f"{self.customer}-{self.payer}-portal-credentials": (orjson.dumps(secret).decode(),)}
            ),
            manners={"default": Manners(visits_per_min=1e6, burst=1000)},
            clock=self.clock,
            new_token=uuid4,
        )
        self._fill()

    def rule(self, *, version: int, on_error: str) -> None:
        """Store a version of the rule that actions are asked for by."""
        self.pipeline.rule(self.customer, {"id": "rule", "version": version, "on_error": on_error})

    def request(
        self,
        action: str = "submit_appeal",
        *,
        subject: str = "",
        params: Mapping[str, object] | None = None,
        version: int = 1,
    ) -> Received:
        """Write an action as `apply_rules` does, and return its message as push delivers it."""
        cause = self._event("claim.denied", uuid4(), {})
        about = subject or (
            f"authorizations/{self.authorization}"
            if action in ("submit_reauth_request", "check_authorization_status")
            else f"claims/{self.claim}"
        )
        execution = Execution(
            uuid4(), cause.event.id, "claim.denied", about, "rule", version, "fired", "SUCCESS", [], 0.1, ""
        )
        wanted = Action(
            uuid4(), execution.id, cause.event.id, "rule", about, action, "requested", params or {}
        )
        with self.pipeline.app.record.event("apply_rules", cause) as transaction:
            transaction.decide([execution], actions=[wanted])
        return self._event(
            "action.requested", wanted.id, {"action_id": str(wanted.id), "type": action}, about
        )

    def do(self, received: Received, *, attempt: int = 1, worker: Worker | None = None) -> Emitted:
        return execute_action(replace(received, attempt=attempt), worker=worker or self.worker)

    def row(self, received: Received) -> Mapping[str, Any]:
        [found] = self.pipeline.rows(
            "SELECT * FROM actions WHERE id = CAST(:id AS uuid)",
            id=orjson.loads(received.event.data)["action_id"],
        )
        return found

    def visits(self, received: Received) -> list[Mapping[str, Any]]:
        return self.pipeline.rows(
            "SELECT * FROM action_attempts WHERE action_id = CAST(:id AS uuid) ORDER BY attempt",
            id=orjson.loads(received.event.data)["action_id"],
        )

    def rows(self, table: str) -> list[Mapping[str, Any]]:
        return self.pipeline.rows(
            f"SELECT * FROM {table} WHERE customer_id = CAST(:id AS uuid)",  # noqa: S608
            id=str(self.customer),
        )

    def again(self, emitted: Emitted) -> list[Received]:
        """Return the requests among messages that went out, as push delivers them."""
        return [
            self._event(
                "action.requested",
                UUID(message.attributes["ce-id"]),
                orjson.loads(message.data),
                message.attributes["ce-subject"],
            )
            for message in emitted.messages
            if message.topic == "portal-actions"
        ]

    def _flow(self, action: PortalAction) -> Flow:
        flow = memory_flow(self.payer, action, echoes_reference=self.echoes)
        return replace(flow, visible_after_s=self.visible_after_s)

    def _event(
        self,
        kind: EventType,
        event_id: UUID,
        data: Mapping[str, object],
        subject: str = "",
    ) -> Received:
        event = Event(
            id=event_id,
            type=kind,
            source="/test",
            subject=subject,
            time=self.clock(),
            customer_id=self.customer,
            data=orjson.dumps(data),
            trace_parent=f"00-{event_id.hex}-{event_id.hex[:16]}-01",
            parent_id=uuid4(),
        )
        return Received(event, 1, "s", {})

    def deny(
        self, number: str, *, carc: str = "197", cents: int = 90_000, decided_on: date = date(2026, 11, 10)
    ) -> UUID:
        """Store a claim that the payer denied, and return it."""
        payer, provider = Party(self.payer, "60054"), Party("P", "1234567893")
        line = ServiceLine("97110", cents, 0, None, ("GP",), "2", None, (Adjustment("CO", carc, cents),))
        denied = ClaimPayment(
            remittance=Remittance(f"r-{self.customer}-{number}", payer, provider, "T1", "ACH", 0, decided_on),
            position=0,
            claim_number=number,
            payer_claim_number="PC-1",
            status=PaymentStatus.DENIED,
            status_code="4",
            charge_cents=cents,
            paid_cents=0,
            patient_cents=0,
            patient=PATIENT,
            provider=provider,
            decided_on=decided_on,
            service_on=date(2026, 10, 20),
            diagnoses=("M5450",),
            lines=(line,),
        )
        cause = self._event("webhook.received", uuid4(), {})
        with self.pipeline.app.record.event("process_webhook", cause) as transaction:
            transaction.store([denied])
        return claim_id(self.customer, number)

    def _fill(self) -> None:
        began_on = date(2026, 6, 1)
        self.claim = self.deny(f"C-{self.number}")
        held = Authorization(
            number=f"A-{self.number}",
            payer=Party(self.payer, "60054"),
            patient=PATIENT,
            procedure="97110",
            status="active",
            effective_on=began_on,
            expires_on=date(2026, 11, 30),
            units_authorized=12,
            units_used=10,
            stated_on=began_on,
        )
        cause = self._event("webhook.received", uuid4(), {})
        with self.pipeline.app.record.event("process_webhook", cause) as transaction:
            transaction.store([held])
        self.authorization = authorization_id(self.customer, held)
