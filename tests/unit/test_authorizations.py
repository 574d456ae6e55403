"""When an authorization ends, at the edges of calendars and time zones."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.authorizations import Held, check_due, exhausted_on, lead_days, today, transition

ON = date(2026, 3, 8)


def held(**changes: object) -> Held:
    values: dict[str, object] = {
        "id": UUID(int=1), "payer_key": "blue-cross", "payer_name": "Blue Cross", "number": "A1", "procedure": "97110",
        "status": "active", "state": "ACTIVE", "effective_on": date(2025, 12, 1), "expires_on": None,
        "units_authorized": None, "units_used": None, "stated_on": None, **changes,
    }  # fmt: skip
    return Held(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("payer", "days"),
    [
        ("blue-cross", 21),
        ("blue-cross-of-x", 21),
        ("aetna", 30),
        ("unitedhealthcare", 14),
        ("uhc", 14),
        ("oak", 21),
    ],
)
def test_lead_times_are_the_payers(payer: str, days: int) -> None:
    assert lead_days(payer, "97110", {}) == days
    own = {(payer, ""): 40, (payer, "97110"): 50}
    assert (lead_days(payer, "97110", own), lead_days(payer, "99213", own)) == (50, 40)


@pytest.mark.parametrize(
    ("moment", "zone", "day"),
    [
        # Clocks go forward in New York on 2026-03-08 at 07:00 UTC, and back on 2026-11-01 at 06:00 UTC.
        (datetime(2026, 3, 8, 4, 59, tzinfo=UTC), "America/New_York", date(2026, 3, 7)),
        (datetime(2026, 3, 8, 5, 0, tzinfo=UTC), "America/New_York", date(2026, 3, 8)),
        (datetime(2026, 3, 9, 3, 59, tzinfo=UTC), "America/New_York", date(2026, 3, 8)),
        (datetime(2026, 3, 9, 4, 0, tzinfo=UTC), "America/New_York", date(2026, 3, 9)),
        (datetime(2026, 11, 1, 6, 0, tzinfo=UTC), "America/New_York", date(2026, 11, 1)),
        (datetime(2026, 11, 2, 4, 59, tzinfo=UTC), "America/New_York", date(2026, 11, 1)),
        (datetime(2026, 3, 8, 6, 0, tzinfo=UTC), "Pacific/Honolulu", date(2026, 3, 7)),
        (datetime(2026, 3, 8, 13, 0, tzinfo=UTC), "Pacific/Auckland", date(2026, 3, 9)),
        (datetime(2028, 2, 29, 6, 0, tzinfo=UTC), "America/Chicago", date(2028, 2, 29)),
        (datetime(2028, 3, 1, 5, 59, tzinfo=UTC), "America/Chicago", date(2028, 2, 29)),
        (datetime(2027, 1, 1, 6, 0, tzinfo=UTC), "America/Los_Angeles", date(2026, 12, 31)),
    ],
)
def test_the_day_is_the_one_on_the_practices_wall(moment: datetime, zone: str, day: date) -> None:
    assert today(moment, zone) == day


@pytest.mark.parametrize(
    ("expires_on", "on"),
    [
        (date(2028, 2, 29), date(2028, 2, 8)),  # a leap day
        (date(2028, 3, 21), date(2028, 2, 29)),
        (date(2027, 3, 1), date(2027, 2, 8)),  # over the end of February without one
        (date(2026, 12, 31), date(2026, 12, 10)),  # a month's and a year's end
        (date(2027, 1, 20), date(2026, 12, 30)),
        (date(2026, 3, 29), date(2026, 3, 8)),  # over the change of clocks
    ],
)
def test_twenty_one_days_are_twenty_one_dates(expires_on: date, on: date) -> None:
    one = held(expires_on=expires_on, effective_on=None)
    assert transition(one, on=on - timedelta(days=1), own={}) is None
    move = transition(one, on=on, own={})
    assert move is not None
    assert (move.state, move.reason, move.ends_on) == ("EXPIRING_SOON", "date", expires_on)


def test_the_last_day_still_counts_and_the_next_one_does_not() -> None:
    one = held(expires_on=ON, state="EXPIRING_SOON")
    assert transition(one, on=ON, own={}) is None
    move = transition(one, on=ON + timedelta(days=1), own={})
    assert move is not None
    assert (move.state, move.reason) == ("EXPIRED", "lapsed")


def test_what_took_its_place_goes_before_everything_else() -> None:
    for state in ("ACTIVE", "EXPIRING_SOON", "EXPIRED"):
        move = transition(
            held(expires_on=ON - timedelta(days=3), state=state, successor=UUID(int=2)), on=ON, own={}
        )
        assert move is not None
        assert move.state == "RENEWED"


def test_units_run_out_at_the_rate_they_are_used() -> None:
    one = held(effective_on=ON - timedelta(days=29), stated_on=ON, units_authorized=20, units_used=15)
    assert exhausted_on(one, on=ON) == ON + timedelta(days=10)  # one in two days, five left
    assert exhausted_on(held(units_authorized=20, units_used=0), on=ON) is None
    assert exhausted_on(held(units_authorized=None, units_used=3), on=ON) is None
    assert exhausted_on(held(units_authorized=3, units_used=3, stated_on=ON), on=ON) == ON
    assert (
        exhausted_on(held(units_authorized=9, units_used=3, effective_on=ON + timedelta(days=1)), on=ON)
        is None
    )


@given(
    authorized=st.integers(1, 400),
    used=st.integers(0, 500),
    since=st.integers(-5, 400),
    expires_in=st.one_of(st.none(), st.integers(-30, 400)),
    later=st.integers(0, 60),
)
def test_an_authorization_that_is_left_alone_never_comes_back_from_ending(
    authorized: int, used: int, since: int, expires_in: int | None, later: int
) -> None:
    """Days only pass: what expires soon stays so until it has expired, whatever its units say."""
    one = held(
        units_authorized=authorized, units_used=used, effective_on=ON - timedelta(days=since), stated_on=ON,
        expires_on=None if expires_in is None else ON + timedelta(days=expires_in),
    )  # fmt: skip
    first = transition(one, on=ON, own={})
    if first is not None and first.state == "EXPIRING_SOON":
        again = held(**{name: getattr(one, name) for name in Held.__slots__} | {"state": "EXPIRING_SOON"})
        then = transition(again, on=ON + timedelta(days=later), own={})
        assert then is None or then.state == "EXPIRED"


def test_a_request_is_looked_at_on_its_days_and_a_late_job_asks_once() -> None:
    assert [check_due(days) for days in (0, 1, 2, 3, 5, 13, 100)] == [None, None, 1, 1, 2, 3, 6]


@pytest.mark.parametrize("zone", ["Nowhere/Town", "theirs", "", "../etc/passwd"])
def test_a_zone_that_nobody_knows_counts_as_utc(zone: str) -> None:
    assert today(datetime(2026, 3, 1, 23, 30, tzinfo=UTC), zone) == date(2026, 3, 1)
