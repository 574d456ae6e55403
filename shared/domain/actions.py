"""An action's life, and the references by which a payer's portal knows it again. Pure.

    requested ─▶ claimed ─▶ committing ─▶ settled | failed
        ▲           │            │
        └───────────┘            └─▶ unknown ─▶ settled | failed | committing again, when it surely was not taken
     lease over, or tried        lease over, or no reference seen
     again later

`open` leaves an action to a person before anything was submitted, an `unknown` that ended leaves it to one after.
"""

from base64 import b32encode
from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

ActionState = Literal["requested", "claimed", "committing", "settled", "failed", "open", "unknown"]
Result = Literal[
    "settled",  # done; the portal's reference is known where it gives one
    "failed",  # the payer said no, and surely holds nothing
    "open",  # a person has to do it; surely nothing was submitted
    "unknown",  # a person has to look: it may have been submitted
]
OnError = Literal[
    "escalate",  # a person does what could not be done
    "log",  # it is written down, and nobody is called
]

# How long a visit that failed for a moment waits before the next, by how many there were. Then a person decides.
RETRY_AFTER: Final = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
)
STALE_AFTER: Final = timedelta(
    hours=1
)  # any message for an action would have come back by then, or be a dead letter
BY_HAND: Final = "by hand"  # instead of a rule's id, where a person asked; no rule can be called so
LEASE_S: Final = 120.0  # how long a worker may have an action without a sign of life
MAX_SUBMISSIONS: Final = 3  # one, and again where it surely was not taken
MAX_CHAIN: Final = 5  # actions that follow from actions' outcomes; beyond, rules chase each other


def client_reference(action_id: UUID) -> str:
    """Return what is typed into the form's own-reference field: 19 characters, for good the same for an action."""
    return "UP-" + b32encode(action_id.bytes[:10]).decode()


def retry_after(attempts: int) -> timedelta | None:
    """Return how long to wait after the `attempts`-th visit failed for a moment; None: it is a person's."""
    return RETRY_AFTER[attempts - 1] if attempts <= len(RETRY_AFTER) else None
