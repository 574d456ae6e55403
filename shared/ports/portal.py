"""Acts in a payer's web portal: prepare → commit → confirm, and only `commit` is irreversible.

Blocks: sessions run on a subscriber's threads. A session is used by one thread at a time; sessions of one `Portals`
may run side by side. What follows from an error is told by its type, and of a `PortalStopError` by its `remedy`:

| raised | by | means |
|---|---|---|
| `TransientError` | all but `commit`, `confirm` | timeout, 5xx, maintenance, session lost; nothing irreversible |
| `PortalStopError`, `escalate` | all but `commit` | captcha, interstitial, unknown page: evidence to a person |
| `PortalStopError`, `alert` | all | wrong password, lock, MFA refused, the payer says no; no retry |
| `AmbiguousOutcomeError` | `commit`, `confirm` | the submission may be there: look it up first of all |
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Literal, Protocol

from shared.runtime.errors import PermanentError

PortalAction = Literal[
    "submit_reauth_request", "submit_appeal", "check_authorization_status", "check_claim_status"
]
Remedy = Literal["escalate", "alert"]
StopCode = Literal[
    "captcha",
    "interstitial",
    "unknown_page",
    "wrong_password",
    "account_locked",
    "mfa_refused",
    "payer_refused",
]
REMEDIES: Final[Mapping[StopCode, Remedy]] = {
    "captcha": "escalate",  # never solved by a machine
    "interstitial": "escalate",  # terms to accept, a survey: a person decides for the practice
    "unknown_page": "escalate",  # the portal is not as the flow knows it
    "wrong_password": "alert",
    "account_locked": "alert",
    "mfa_refused": "alert",
    "payer_refused": "alert",  # the payer read the request and said no; surely nothing was filed
}
# A further try with these could lock the account: nobody acts with this credential until a person allows it again.
BREAKER_CODES: Final[frozenset[StopCode]] = frozenset({"wrong_password", "account_locked", "mfa_refused"})


class PortalStopError(PermanentError):
    """The portal needs a person. The text names page and step, never what a page or a field holds."""

    code: StopCode

    def __init__(self, code: StopCode, detail: str = "") -> None:
        super().__init__(code, detail)

    @property
    def remedy(self) -> Remedy:
        """`escalate` with the evidence, or `alert` the customer. Neither is retried by a machine."""
        return REMEDIES[self.code]

    @property
    def opens_breaker(self) -> bool:
        """Whether every further action with these credentials must wait for a person."""
        return self.code in BREAKER_CODES


@dataclass(frozen=True, slots=True)
class FlowId:
    """One immutable version of how an action is done in a portal, such as `aetna/submit_appeal@1`."""

    portal: str
    action: PortalAction
    version: int

    def __str__(self) -> str:
        """Return the form in which attempts record it."""
        return f"{self.portal}/{self.action}@{self.version}"


@dataclass(frozen=True, slots=True)
class Flow:
    """What a caller needs to know of a flow.

    commits: whether it submits something. Without it there is no `prepare`, `commit` or `confirm`, only `read`.
    echoes_reference: the form has a field for our client reference, and the lookup finds a submission by it. Where it
        does not, look up before the commit, and of a later lookup adopt only what was not there before.
    required, optional: names of the fields; required_files, optional_files: of the files. Reject nothing else: what a
        flow does not name is not typed.
    visible_after_s: a submission may take this long to show in the lookup; before that, `lookup` calls it Unclear.
    """

    id: FlowId
    commits: bool
    echoes_reference: bool
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    required_files: frozenset[str] = frozenset()
    optional_files: frozenset[str] = frozenset()
    visible_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """A customer's way into one portal. Never logged, shown or traced. totp_secret: Base32."""

    username: str = field(repr=False)
    password: str = field(repr=False)
    totp_secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class PortalFile:
    """A document to upload. name: the flow's name for it (`letter`). filename: as the payer will see it."""

    name: str
    filename: str
    content: bytes = field(repr=False)
    content_type: str = "application/pdf"


@dataclass(frozen=True, slots=True)
class Submission:
    """One submission as the portal's own search lists it. client_reference: empty where the portal shows none."""

    reference: str
    client_reference: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """The portal lists these; by an echoed client reference there is exactly one."""

    submissions: tuple[Submission, ...]


@dataclass(frozen=True, slots=True)
class Absent:
    """The portal surely holds none."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """The portal cannot tell (yet). retry_after_s: when asking again is worth it; None: a person has to look."""

    reason: Literal[
        "not_indexed",
        "several",
        "others",  # it lists some, and none of them is ours: whatever was searched for, it was not our reference
    ]
    retry_after_s: float | None = None


Lookup = Found | Absent | Unclear


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What the portal said of a submission that it took. reference: from its own element, never empty."""

    reference: str


AuthorizationState = Literal["approved", "denied", "pended", "not_found"]
ClaimState = Literal["paid", "denied", "pending", "not_found"]


@dataclass(frozen=True, slots=True)
class AuthorizationReading:
    """An authorization's state as its portal shows it. number: the payer's new one, once approved."""

    state: AuthorizationState
    reference: str = ""
    number: str = ""
    effective_on: date | None = None
    expires_on: date | None = None
    units: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ClaimReading:
    """A claim's state as its portal shows it. carc: the denial's adjustment reason code."""

    state: ClaimState
    payer_claim_number: str = ""
    paid_cents: int | None = None
    decided_on: date | None = None
    carc: str = ""


Reading = AuthorizationReading | ClaimReading


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an attempt: which, how long, how it ended. Holds no value that was typed or read."""

    name: str
    started_at: datetime
    duration_ms: float
    outcome: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an attempt leaves behind.

    screenshot_png: the page as it was last, with every typed value, what the action knows of its patient and all that
        is marked blacked out; None if no page was reached. A page may show what nobody foresaw: store it as the trace.
    trace_zip: Playwright's trace, of failures only and from after the sign-in on. It shows
        patient data: store it as closed as the claim itself.
    files_sha256: by file name of the flow.
    """

    flow: FlowId
    steps: tuple[Step, ...]
    screenshot_png: bytes | None = field(default=None, repr=False)
    trace_zip: bytes | None = field(default=None, repr=False)
    files_sha256: Mapping[str, str] = field(default_factory=dict)
    reference: str = ""


class PortalSession(Protocol):
    """One visit to a portal, in a browser context of its own. Begin with `sign_in`."""

    def sign_in(self) -> None:
        """Be signed in. Tries each credential once.

        Raises:
            TransientError: the portal or the browser is away; nothing happened.
            PortalStopError: it wants a person, or refuses the credentials.
        """
        ...

    def lookup(self, fields: Mapping[str, str], *, committed_at: datetime | None = None) -> Lookup:
        """Return what the portal's own search finds, by `client_reference` where the flow echoes it, else by criteria.

        committed_at: when a commit was begun whose outcome is sought; what is not listed yet may still appear.

        Raises:
            TransientError, PortalStopError: as `sign_in`.
        """
        ...

    def prepare(self, fields: Mapping[str, str], files: Sequence[PortalFile] = ()) -> None:
        """Have the form filled and the commit's button in reach. Reversible: leaving the page undoes it.

        fields: those that `Flow.required` names, and more. Dates as ISO, amounts as a decimal number.

        Raises:
            TransientError, PortalStopError: as `sign_in`.
            PermanentError: `missing_field`, a field or file that the flow requires was not given.
        """
        ...

    def commit(self, *, before: datetime | None = None) -> None:
        """Press Submit, once. Call only when the intent is on disk.

        before: when the leave to press it ends. A worker that was frozen past it presses nothing.

        Raises:
            AmbiguousOutcomeError: `commit_unclear`; it may have been taken. Look it up.
        """
        ...

    def confirm(self) -> Confirmation:
        """Return the reference that the portal shows for what was just submitted.

        Raises:
            AmbiguousOutcomeError: `commit_unclear`; it shows none. Look it up.
            PortalStopError: `payer_refused` alone: the portal says that it did not take it.
        """
        ...

    def read(self, fields: Mapping[str, str]) -> Reading:
        """Return the state of what the fields name, in a flow that does not commit.

        Raises:
            TransientError, PortalStopError, PermanentError: as `prepare`.
        """
        ...

    def evidence(self) -> Evidence:
        """Return what there is to show of this visit so far. Never raises; call it before the session ends."""
        ...


class Portals(Protocol):
    """Every portal that there is a flow for. One browser behind all sessions."""

    def flow(self, payer_key: str, action: PortalAction) -> Flow:
        """Return the newest flow for a payer, by its key in the record (`Party.key`): pin its id to the action.

        Raises:
            PermanentError: `no_portal_flow`.
        """
        ...

    def pinned(self, flow: FlowId) -> Flow:
        """Return the flow of that very version.

        Raises:
            PermanentError: `no_portal_flow`.
        """
        ...

    def session(
        self, flow: FlowId, *, credentials: Credentials
    ) -> AbstractContextManager[PortalSession, bool | None]:
        """Open a visit, and end it with the block. Opening talks to nobody: its first act is `sign_in`.

        Raises:
            PermanentError: `no_portal_flow`.
            TransientError: `browser_unavailable`, on entering.
        """
        ...

    def close(self) -> None:
        """End the browser. Sessions still open fail as if the portal had gone away."""
        ...
