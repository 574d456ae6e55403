"""What the portals' tests have in common: actions with made-up patients, and the accounts that do them."""

from dataclasses import dataclass, field
from itertools import count
from typing import Final, get_args

from local.portal_site.site import PortalSite
from local.portal_site.store import Account, AuthorizationFile, ClaimFile, Filed, Kind
from shared.portals.portals import BrowserPortals
from shared.ports.portal import Credentials, Flow, PortalAction, PortalFile

PAYERS: Final = {"aetna": "aetna", "uhc": "uhc", "blue_cross": "blue-cross"}
ACTIONS: Final[tuple[PortalAction, ...]] = get_args(PortalAction)
SUBMISSIONS: Final[tuple[PortalAction, ...]] = ("submit_reauth_request", "submit_appeal")
# The flows' own times are for real payers. A step that never comes costs a test 3 s, a commit 9.
PATIENCE: Final = 0.2
SLOW_S: Final = 15.0

PASSWORD: Final = "correct-horse-battery"
TOTP_SECRET: Final = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
PATIENT: Final = "Wilhelmina Testcase"
MEMBER: Final = "W998877665"
FILES: Final = (
    PortalFile("letter", "appeal.pdf", b"%PDF-1.7 a letter"),
    PortalFile("utilization_report", "report.pdf", b"%PDF-1.7 a report"),
    PortalFile("attachment", "notes-1.pdf", b"%PDF-1.7 some notes"),
    PortalFile("attachment", "notes-2.pdf", b"%PDF-1.7 more notes"),
)
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Case:
    """One action at one portal, about a claim and an authorization of its own."""

    portal: str
    action: PortalAction
    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def name(self) -> str:
        return f"{self.portal} {self.action}"

    @property
    def subject(self) -> str:
        return f"NUM-{self.number:05d}"

    @property
    def fields(self) -> dict[str, str]:
        return {
            "claim_number": self.subject,
            "authorization_number": self.subject,
            "member_id": MEMBER,
            "patient_name": PATIENT,
            "born_on": "1961-07-14",
            "procedure": "97110",
            "units": "24",
            "service_from": "2026-04-01",
            "service_to": "2026-09-30",
            "reason": "medical_necessity",
            "amount": "1234.50",
            "client_reference": f"UP-{self.number:08d}",
        }

    def flow(self, portals: BrowserPortals) -> Flow:
        return portals.flow(PAYERS[self.portal], self.action)

    def files(self, flow: Flow) -> list[PortalFile]:
        return [file for file in FILES if file.name in flow.required_files | flow.optional_files]

    def filed(self, site: PortalSite) -> list[Filed]:
        kind: Kind = "reauth" if self.action == "submit_reauth_request" else "appeal"
        return site.filed_about(self.portal, kind, self.subject)


def account(site: PortalSite, portal: str) -> Credentials:
    """Open an account that nobody else uses, so that no test waits for another's one-time code."""
    username = f"clinic-{next(_numbers)}"
    secret = TOTP_SECRET if portal == "uhc" else ""
    site.open_account(Account(portal, username, PASSWORD, secret))
    return Credentials(username, PASSWORD, secret)


def decide(site: PortalSite, case: Case) -> None:
    """Have the payer know the claim and the authorization that a status check asks for."""
    approved = AuthorizationFile("Approved", f"NEW-{case.number}", "2026-04-01", "2026-09-30", 24)
    site.decide_authorization(case.portal, case.subject, approved)
    site.decide_claim(case.portal, case.subject, ClaimFile("Denied", "ICN-1", 0, "2026-02-11", "197"))
