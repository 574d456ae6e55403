"""Four kinds of failure. The kind decides what happens; handlers only raise.

    UpstreamError
    ├── TransientError          nothing irreversible happened; later may work
    ├── PermanentError          understood, and the answer is no
    ├── PoisonError             can never be processed
    │   └── UnreadableError     a payload that does not parse, with the place at fault
    └── AmbiguousOutcomeError   the side effect may have happened

`shared/runtime/outcomes.py` turns a kind into an acknowledgement, an HTTP status, a key state and a log level.
"""

from typing import Literal

ErrorCode = Literal[
    # What a payer can be told (DESIGN section 4)
    "invalid_signature",  # 401: also for an unknown or disabled connection
    "stale_timestamp",  # 401: older or newer than the tolerance
    "payload_too_large",  # 413
    "unsupported_media_type",  # 415
    "key_reused",  # 422: the delivery id came before with another body
    "rate_limited",  # 429
    "bad_request",  # 400: a header that the scheme needs is missing or malformed
    "not_found",  # 404: no such path
    "method_not_allowed",  # 405
    "unavailable",  # 503
    # What only we see
    "timeout",  # a call did not answer within its deadline
    "key_held",  # another worker owns the key
    "claim_lost",  # our claim on a key was taken over
    "unreadable_payload",  # does not parse; the place says where
    "unknown_format",  # no reader for this payload
    "payload_missing",  # a payload that was kept apart from its message is not there
    "payload_changed",  # or is not the one that was sent
    "invalid_event",  # a message that is not one of our CloudEvents
    "unknown_customer",  # the event's customer does not exist
    "invalid_rule",  # a stored rule that no longer validates
    "delivery_refused",  # a notification's receiver said no for good
    "delivery_failed",  # a notification could not be handed over for now
    "invalid_recipient",  # a notification with no usable address
    # What senders only name (docs/formats.md)
    "no_address",  # what is to be fetched has no address below its connection's
    "fetch_failed",  # its server did not give it for now
    "fetch_refused",  # its server said no for good
    # Payers' portals (docs/portals.md)
    "captcha",  # the portal asks for a human; it gets one
    "interstitial",  # something to accept or answer stands before the page
    "unknown_page",  # the portal is not as its flow knows it
    "wrong_password",  # never tried twice
    "account_locked",  # the portal has locked the account
    "mfa_refused",  # the one-time code was not taken
    "payer_refused",  # the payer read the request and said no
    "portal_unavailable",  # maintenance, a 5xx, or no answer in time, before a commit
    "session_lost",  # signed out in mid-form, before a commit
    "commit_unclear",  # Submit was pressed, and no reference seen
    "missing_field",  # the flow requires a field or file that the action does not have
    "no_portal_flow",  # no flow for this payer and action, or not in this version
    "invalid_flow",  # a flow that does not validate
    "browser_unavailable",  # no Chromium, or it died
    # The ledger of actions (docs/actions.md)
    "unknown_action",  # a request for an action that the record does not have
    "portal_busy",  # somebody else is signed in with the credential, or the payer was called a moment ago
    "portal_closed",  # outside the payer's working hours
    "portal_disabled",  # a person has to allow the payer's portal again
    "switched_off",  # a person stopped what the customer's rules do, or actions of this type
    "no_credentials",  # no secret with a user name and password for this customer and payer
    "no_subject",  # the claim or authorization that the action is about is not in the record
    "under_way",  # another action does the same, or did, and the payer has not answered
    "nothing_owed",  # an appeal of a claim that is no longer denied or short
    "gave_up",  # tried as often as may be
    "not_yet",  # an action that is somebody else's, or not due
    "unhandled",  # our bug
]


class UpstreamError(Exception):
    """Base of all we raise. code: stable, for machines. The text never holds patient data."""

    def __init__(self, code: ErrorCode, detail: str = "") -> None:
        super().__init__(detail or code)
        self.code: ErrorCode = code
        self.detail = detail


class TransientError(UpstreamError):
    """Nothing irreversible happened; trying later may work.

    retry_after_s: when the sender should come back, where the cause says so.
    """

    def __init__(self, code: ErrorCode, detail: str = "", *, retry_after_s: int | None = None) -> None:
        super().__init__(code, detail)
        self.retry_after_s = retry_after_s


class PermanentError(UpstreamError):
    """Understood, and the answer is no: a payer refuses, or the request is out of scope."""


class PoisonError(UpstreamError):
    """Can never be processed: bad signature, schema or version."""


class UnreadableError(PoisonError):
    """A payload that does not parse. place: the segment or JSON path at fault."""

    def __init__(self, detail: str, *, place: str, code: ErrorCode = "unreadable_payload") -> None:
        super().__init__(code, f"{place}: {detail}")
        self.place = place


class AmbiguousOutcomeError(UpstreamError):
    """The side effect may have happened. Never retried by a machine."""
