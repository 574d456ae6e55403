"""The demo's own arithmetic: what may be posted together, and what counts as a difference."""

from collections import Counter
from datetime import UTC, date, datetime
from functools import cache

import pytest

from cli.demo.checks import Check, checks
from cli.demo.found import Found
from cli.demo.posting import Reply, waves
from cli.demo.sample_files import Counts, sample_files
from local.sample_month import SampleMonth, sample_month

FIRST_DAY = date(2026, 1, 5)
FACTS = (
    "payments",
    "claims",
    "remittances",
    "events",
    "rules",
    "notifications",
    "dead_letters",
    "jobs",
    "findings",
    "actions",
)
NOTHING = Found({name: [] for name in FACTS}, decided=0, story=None)


@cache
def month() -> SampleMonth:
    return sample_month(FIRST_DAY, claims=200)


def test_a_wave_is_of_one_day_and_holds_no_delivery_id_twice() -> None:
    for wave in waves(month().deliveries):
        assert len({delivery.at.date() for delivery in wave}) == 1
        ids = Counter((d.practice, d.provider, d.delivery_id) for d in wave)
        assert max(ids.values()) == 1


def test_waves_keep_the_order_and_lose_nothing() -> None:
    assert [delivery for wave in waves(month().deliveries) for delivery in wave] == list(month().deliveries)
    assert list(waves([])) == []


@pytest.mark.parametrize(
    ("check", "kept"),
    [
        (Check("a", 3, 3), True),
        (Check("a", 3, 4), False),
        (Check("a", 3, 4, "at least"), True),
        (Check("a", 3, 2, "at least"), False),
    ],
)
def test_a_check_is_kept_exactly_or_at_least(check: Check, *, kept: bool) -> None:
    assert check.kept is kept


def test_a_pipeline_that_did_nothing_is_found_out_in_every_count_that_is_not_nothing() -> None:
    compared = checks(month().manifest, Counts(), [], NOTHING, {}, portals=False)
    assert [check for check in compared if not check.kept] == [check for check in compared if check.expected]
    assert sum(not check.kept for check in compared) > 20


def test_a_reply_that_nobody_expected_is_found_out() -> None:
    reply = Reply(month().deliveries[0], 500, "unhandled", "", 1.0)
    compared = checks(month().manifest, Counts(), [reply], NOTHING, {}, portals=False)
    assert Check("replies: unhandled", 0, 1) in compared


def test_sample_files_are_counted_from_their_text() -> None:
    deliveries, counts = sample_files(datetime(2026, 1, 5, tzinfo=UTC))
    assert counts.files == len(deliveries) == 13
    assert counts.unreadable == sum(delivery.dead_letter for delivery in deliveries) == 2
    assert (counts.submitted, counts.decided, counts.advices, counts.authorizations) == (2, 20, 8, 1)
    assert counts.paid_cents == 15_436_600
