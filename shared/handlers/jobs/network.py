"""What several customers' findings tell each of them, without telling of whom.

Only the number of customers is told, rounded down to 3, 5, 10 or 25, and only to customers of that payer. No amount, no
rate and no date of a single customer leaves its own rows.
"""

from datetime import timedelta
from typing import Final

from shared.domain.detection import BASELINE_DAYS
from shared.domain.findings import Finding, bucket, changes, finding_id
from shared.handlers.jobs.detect import tally, told
from shared.handlers.jobs.share import Done, Share

LEAST_CUSTOMERS: Final = 3
SEEN_WITHIN: Final = timedelta(hours=48)


def tell_of_network(share: Share) -> Done:
    """Open, update and close the customer's findings about its payers' changes elsewhere.

    Raises:
        TransientError: the database is away or busy.
    """
    work, on = share.work, share.run.on
    payers = work.payers_since(on - timedelta(days=BASELINE_DAYS))
    seen = [
        _finding(share, shared["payer_key"], shared["carc"], bucket(shared["customers"]))
        for shared in share.data.get("network", [])
        if shared["payer_key"] in payers
    ]
    known = [finding for finding in work.open_findings() if finding.kind == "network"]
    found = changes(known, seen, {}, on=on)
    work.keep_findings([change.finding for change in found], run_id=share.run.id)
    return Done(
        counts={f"network_{name}": n for name, n in tally(found).items()},
        outgoing=tuple(told(change, share) for change in found if change.event),
    )


def _finding(share: Share, payer_key: str, carc: str, customers: int) -> Finding:
    on = share.run.on
    return Finding(
        id=finding_id(share.event.customer_id, ("network", payer_key, carc), on),
        kind="network",
        payer_key=payer_key,
        subject=carc,
        first_seen_on=on,
        last_seen_on=on,
        baseline=0.0,
        current=float(customers),
        n=customers,
        told=float(customers),
        detail={"customers": customers, "window_days": SEEN_WITHIN.days, "carcs": [carc], "procedures": []},
    )
