"""`release_actions`: what waited for its time, or lost its message, is sent on its way."""

from typing import Final

from shared.domain.actions import STALE_AFTER
from shared.domain.events import Outgoing
from shared.handlers.action_outcomes import request_again
from shared.handlers.jobs.share import Done, Share

MOST: Final = 500  # actions of one customer a run; the rest is the next run's


def release_actions(share: Share) -> Done:
    """Send a message for every action of the customer that is due and has none under way.

    Raises:
        TransientError: the database is away or busy.
    """
    due = share.work.release_actions(now=share.now, stale_before=share.now - STALE_AFTER, most=MOST)
    customer_id = share.event.customer_id
    requests = (request_again(action, customer_id=customer_id, now=share.now) for action in due)
    return Done(
        {"actions_released": len(due)}, tuple(Outgoing("portal-actions", request) for request in requests)
    )
