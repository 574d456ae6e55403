"""What an action takes to the portal: the case from the record, the flow's fields, documents, credentials."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Protocol
from uuid import UUID

import orjson

from shared.documents.letters import appeal_letter, template_for
from shared.documents.reports import utilization_report
from shared.domain.actions import client_reference
from shared.domain.cases import AuthorizationCase, Case, ClaimCase
from shared.ports.cases import CaseFiles
from shared.ports.clock import Clock
from shared.ports.ledger import ActionClaim, Appeal
from shared.ports.pdf import PdfPrinter
from shared.ports.portal import Credentials, Flow, FlowId, PortalAction, PortalFile, Portals
from shared.ports.secrets import SecretStore
from shared.runtime.errors import PermanentError

DEFAULT_DURATION_DAYS: Final = 180
PORTAL_ACTIONS: Final[Mapping[str, PortalAction]] = {
    "submit_appeal": "submit_appeal",
    "submit_reauth_request": "submit_reauth_request",
    "check_claim_status": "check_claim_status",
    "check_authorization_status": "check_authorization_status",
}


class Drafting(Protocol):
    """What drafting an errand needs of the worker."""

    @property
    def cases(self) -> CaseFiles: ...  # noqa: D102 - see Worker
    @property
    def portals(self) -> Callable[[], Portals]: ...  # noqa: D102
    @property
    def printer(self) -> PdfPrinter: ...  # noqa: D102
    @property
    def secrets(self) -> SecretStore: ...  # noqa: D102
    @property
    def clock(self) -> Clock: ...  # noqa: D102
    @property
    def single_practice(self) -> UUID | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Errand:
    """Everything a visit needs. credential: the secret's name. appeals: what is to be followed up once it is filed.

    others: the further claims of a letter for several.
    """

    flow: Flow
    case: Case
    credential: str
    credentials: Credentials = field(repr=False)
    fields: Mapping[str, str] = field(repr=False)
    appeals: tuple[Appeal, ...] = ()
    others: tuple[ClaimCase, ...] = ()

    def check_owed(self) -> None:
        """Return if everything that an appeal asks for is still owed, as far as the record knows.

        Raises:
            PermanentError: `nothing_owed`; a claim is no longer denied or short.
        """
        cases = (self.case, *self.others)
        if self.flow.id.action == "submit_appeal" and not all(
            case.is_owed for case in cases if isinstance(case, ClaimCase)
        ):
            raise PermanentError("nothing_owed", str(self.case.id))


def draft_errand(claim: ActionClaim, worker: Drafting) -> Errand:
    """Return what the action takes along.

    Raises:
        PermanentError: a person has to do it: `no_subject`, `no_portal_flow`, `no_credentials`.
        TransientError: the record or the secrets are away.
    """
    case = _case(claim, worker.cases)
    others = _others(claim, case, worker.cases)
    flow = _flow(claim, case, worker.portals())
    credential, credentials = credentials_for(
        claim.customer_id, flow.id.portal, worker.secrets, single_practice=worker.single_practice
    )
    fields = {name: value for name, value in _fields(claim, case, others).items() if value}
    return Errand(
        flow=flow,
        case=case,
        credential=credential,
        credentials=credentials,
        fields=fields,
        appeals=appeals_of(claim.action_id, claim.params, (case, *others))
        if isinstance(case, ClaimCase)
        else (),
        others=others,
    )


def _case(claim: ActionClaim, cases: CaseFiles) -> Case:
    kind, _, identity = claim.subject.partition("/")
    find: Mapping[str, Callable[[UUID, UUID], Case | None]] = {
        "claims": cases.claim,
        "authorizations": cases.authorization,
    }
    case = find[kind](claim.customer_id, UUID(identity)) if kind in find else None
    if case is None:
        raise PermanentError("no_subject", claim.subject)
    return case


def _others(claim: ActionClaim, case: Case, cases: CaseFiles) -> tuple[ClaimCase, ...]:
    """Return the further claims of a letter for several. All are one payer's still, or a person has to look."""
    named = claim.params.get("claims")
    if not isinstance(named, list):
        return ()
    found = [cases.claim(claim.customer_id, UUID(one)) for one in named if one != str(case.id)]
    others = tuple(one for one in found if one is not None and one.payer_key == case.payer_key)
    if len(others) != len(found):
        raise PermanentError("no_subject", f"a claim of the letter for {claim.subject}")
    return others


def _flow(claim: ActionClaim, case: Case, portals: Portals) -> Flow:
    """Return the flow of the first visit; later ones are pinned to it, whatever was released since."""
    action = PORTAL_ACTIONS.get(claim.type)
    if action is None:
        raise PermanentError("no_portal_flow", claim.type)
    if claim.flow:
        portal, _, rest = claim.flow.partition("/")
        return portals.pinned(FlowId(portal, action, int(rest.rpartition("@")[2])))
    return portals.flow(case.payer_key, action)


def credentials_for(
    customer_id: UUID, portal: str, secrets: SecretStore, *, single_practice: UUID | None = None
) -> tuple[str, Credentials]:
    """Return a customer's way into a portal and the name of its secret. No other secret is tried.

    single_practice: the one customer whose secrets are called by the portal alone.

    Raises:
        PermanentError: `no_credentials`; there is no secret, none of its versions is enabled, or it does not hold a
            user name and a password.
        TransientError: the secrets are away.
    """
    owner = "" if customer_id == single_practice else f"{customer_id}-"
    name = f"{owner}{portal}-portal-credentials"
    versions = secrets.versions(name)
    if not versions:
        raise PermanentError("no_credentials", name)
    return name, _credentials(name, versions[0])


def _credentials(name: str, text: str) -> Credentials:
    try:
        held: Mapping[str, Any] = orjson.loads(text)
        return Credentials(held["username"], held["password"], held.get("totp_secret", ""))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise PermanentError("no_credentials", f"{name} holds no user name and password") from None


def _fields(claim: ActionClaim, case: Case, others: Sequence[ClaimCase]) -> Mapping[str, str]:
    """Return every field that a flow may ask for; what a flow does not name is not typed."""
    common = {
        "client_reference": client_reference(claim.action_id),
        "member_id": case.patient.member_id,
        "patient_name": case.patient.name,
        "born_on": _day(case.patient.born_on),
        "provider_npi": case.provider_id,
        "provider_name": case.practice,
        "diagnosis": next(iter(case.diagnoses), ""),
        "reference": case.reference,
    }
    if isinstance(case, ClaimCase):
        return {**common, **_claim_fields(claim, case, others)}
    return {**common, **_authorization_fields(claim, case)}


def _claim_fields(claim: ActionClaim, case: ClaimCase, others: Sequence[ClaimCase]) -> Mapping[str, str]:
    """Return the form's fields: of the first claim where the form takes one, and the sum of all."""
    return {
        "claim_number": case.number,
        "payer_claim_number": case.payer_claim_number,
        "service_on": _day(case.service_on),
        "procedure": next((service.procedure for service in case.services), ""),
        "authorization_number": case.authorization_number,
        "reason": template_for(case, str(claim.params.get("template", ""))),
        "carc": case.carc,
        "level": str(claim.level),
        "amount": _amount(sum(one.disputed_cents for one in (case, *others))),
        "charge": _amount(case.charge_cents),
    }


def _authorization_fields(claim: ActionClaim, case: AuthorizationCase) -> Mapping[str, str]:
    days = int(str(claim.params.get("duration_days", _duration_days(case))))
    begins = case.expires_on + timedelta(days=1) if case.expires_on else None
    units = claim.params.get("units", case.units_authorized)
    return {
        "authorization_number": case.number,
        "procedure": case.procedure,
        "units": "" if units is None else str(units),
        "service_from": _day(begins),
        "service_to": _day(begins + timedelta(days=days - 1) if begins else None),
    }


def _duration_days(case: AuthorizationCase) -> int:
    """Return how long the expiring one lasts: the new one is asked for as long."""
    if case.effective_on is None or case.expires_on is None:
        return DEFAULT_DURATION_DAYS
    return max(1, (case.expires_on - case.effective_on).days + 1)


def draft_files(claim: ActionClaim, errand: Errand, worker: Drafting) -> tuple[PortalFile, ...]:
    """Return the document that the payer reads, if it submits. Its footer names our reference, never the patient.

    Raises:
        TransientError: the printer is away.
    """
    case, flow, on = errand.case, errand.flow, worker.clock().date()
    if not flow.commits:
        return ()
    reference = client_reference(claim.action_id)
    if isinstance(case, ClaimCase):
        html = appeal_letter(
            [case, *errand.others],
            template=template_for(case, str(claim.params.get("template", ""))),
            level=claim.level,
            on=on,
            reference=reference,
        )
        return _printed("letter", f"appeal-{reference}.pdf", html, reference, flow, worker)
    html = utilization_report(case, fields=_authorization_fields(claim, case), on=on, reference=reference)
    return _printed("utilization_report", f"utilization-{reference}.pdf", html, reference, flow, worker)


def _printed(
    name: str, filename: str, html: str, reference: str, flow: Flow, worker: Drafting
) -> tuple[PortalFile, ...]:
    if name not in flow.required_files | flow.optional_files:
        return ()
    return (PortalFile(name, filename, worker.printer.print_pdf(html, footer=f"Reference {reference}")),)


def appeals_of(
    action_id: UUID, params: Mapping[str, object], cases: Sequence[ClaimCase]
) -> tuple[Appeal, ...]:
    """Return what is to be followed up of a letter; the reference and the day are those of the submission.

    cases: of all its claims, the first first.
    """
    if not cases:
        return ()
    template = template_for(cases[0], str(params.get("template", "")))
    return tuple(
        Appeal(
            action_id=action_id,
            claim_id=one.id,
            payer_key=one.payer_key,
            carc=one.carc,
            template=template,
            level=int(str(params.get("level", 1))),
            amount_cents=one.disputed_cents,
            paid_before_cents=one.paid_cents,
            first=one is cases[0],
        )
        for one in cases
    )


def _day(value: object) -> str:
    return "" if value is None else str(value)


def _amount(amount_cents: int) -> str:
    whole, part = divmod(amount_cents, 100)
    return f"{whole}.{part:02d}"
