"""`build_risk_baselines`: what each payer's denial rates are taken to be, by procedure."""

from collections import Counter
from datetime import date, timedelta

from shared.handlers.jobs.share import Done, Share
from shared.runtime.errors import PoisonError

MOST_DAYS_BACK = 92


def build_risk_baselines(share: Share) -> Done:
    """Bring the customer's baselines up to the run's day; with `from` and `to`, write its past anew, day by day.

    Raises:
        PoisonError: days that are no days, or too many of them (`invalid_event`).
        TransientError: the database is away or busy.
    """
    options = share.run.options
    if "from" not in options:
        return Done(share.work.build_baselines(share.run.on, full=options.get("full") == "yes"))
    total: Counter[str] = Counter()
    for day in days_between(options["from"], options.get("to", "")):
        total.update(share.work.build_baselines(day, full=True, until=day))
    return Done(total)


def days_between(first: str, last: str) -> list[date]:
    """Return the days from `first` to `last`, both counted.

    Raises:
        PoisonError: they are not two dates in order, at most 92 days apart (`invalid_event`).
    """
    try:
        begin, end = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError as exc:
        raise PoisonError("invalid_event", "not dates, YYYY-MM-DD") from exc
    if not 0 <= (end - begin).days < MOST_DAYS_BACK:
        raise PoisonError("invalid_event", f"from 1 to {MOST_DAYS_BACK} days, the first one first")
    return [begin + timedelta(days=n) for n in range((end - begin).days + 1)]
