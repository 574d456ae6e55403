import json
from collections.abc import Callable, Iterator
from datetime import date
from typing import get_args

import pytest

from shared.domain.events import EventType
from shared.rules.facts import DECLARED, Catalogue, EventFacts, GivenFacts, catalogue
from shared.rules.values import COERCIONS
from shared.runtime.errors import TransientError

ON = date(2026, 2, 3)


def counted(answers: Iterator[object]) -> tuple[Callable[[], object], list[object]]:
    given: list[object] = []

    def answer() -> object:
        given.append(next(answers))
        return given[-1]

    return answer, given


def test_every_fact_is_declared_whole() -> None:
    declared = json.loads(DECLARED.read_text(encoding="utf-8"))
    for name, entry in declared["facts"].items():
        assert set(entry) - {"derived"} == {"type", "unit", "description", "source", "lazy", "triggers"}, name
        assert entry["type"] in COERCIONS, name
        assert entry["description"].endswith("."), name
        assert entry["source"], name
        assert isinstance(entry["lazy"], bool), name
        assert entry["triggers"], name
        assert (entry["unit"] == "cents") is (entry["type"] == "money") is name.endswith("_cents"), name
        assert (entry["type"] == "date") is name.endswith("_on"), name


def test_triggers_are_domain_events_and_facts_name_only_triggers() -> None:
    known = catalogue()
    assert set(known.amounts) < set(get_args(EventType))
    for fact in known.facts.values():
        assert fact.triggers <= set(known.amounts), fact.name


def test_the_amount_at_stake_is_money_that_its_trigger_carries() -> None:
    known = catalogue()
    for trigger, name in known.amounts.items():
        if name is not None:
            assert known.facts[name].type == "money"
            assert trigger in known.facts[name].triggers


def test_a_derived_fact_counts_days_from_a_date_of_the_same_triggers() -> None:
    known = catalogue()
    derived = [fact for fact in known.facts.values() if fact.derived]
    assert {fact.name for fact in derived} == {"claim.days_since_service", "authorization.days_left"}
    for fact in derived:
        assert fact.derived
        origin = known.facts[fact.derived.origin]
        assert origin.type == "date"
        assert origin.triggers == fact.triggers


def test_no_fact_is_about_a_patient() -> None:
    words = ("patient", "member", "subscriber", "born", "birth", "name")
    suspects = [name for name in catalogue().facts if any(word in name for word in words)]
    assert suspects == ["claim.payer_name", "claim.patient_cents"]


def test_a_fact_is_its_path_in_the_data() -> None:
    facts = EventFacts({"claim": {"payer_id": "87726"}, "denial": {"carcs": ["29"]}}, ON)
    assert facts.get("claim.payer_id") == "87726"
    assert facts.get("denial.carcs") == ("29",)
    assert facts.get("denial.carc") is None
    assert not facts.mismatches


@pytest.mark.parametrize("data", [None, [], "claim", 3, {}, {"claim": None}, {"claim": []}, {"claim": "x"}])
def test_data_without_the_path_misses_the_fact(data: object) -> None:
    facts = EventFacts(data, ON)
    assert facts.get("claim.payer_id") is None
    assert not facts.mismatches


def test_a_value_of_another_type_is_none_and_noted_once() -> None:
    facts = EventFacts({"claim": {"charge_cents": "100", "payer_id": 7}}, ON)
    for _ in range(2):
        assert facts.get("claim.charge_cents") is None
        assert facts.get("claim.payer_id") is None
    assert facts.mismatches == {"claim.charge_cents", "claim.payer_id"}


def test_an_undeclared_fact_is_missing() -> None:
    facts = EventFacts({"claim": {"shoe_size": 45}}, ON)
    assert facts.get("claim.shoe_size") is None
    assert not facts.mismatches


def test_days_are_counted_from_the_evaluation_date_whatever_the_event_says() -> None:
    data = {
        "claim": {"service_on": "2026-01-04", "days_since_service": 5},
        "authorization": {"expires_on": "2026-02-24", "days_left": 99},
    }
    facts = EventFacts(data, ON)
    assert facts.get("claim.days_since_service") == 30
    assert facts.get("authorization.days_left") == 21


def test_days_of_a_missing_date_are_missing_and_of_a_mistyped_one_mistyped() -> None:
    facts = EventFacts({"claim": {}, "authorization": {"expires_on": "soon"}}, ON)
    assert facts.get("claim.days_since_service") is None
    assert facts.get("authorization.days_left") is None
    assert facts.mismatches == {"authorization.expires_on", "authorization.days_left"}


def test_a_lazy_fact_is_computed_once_at_most_even_if_it_is_missing() -> None:
    answer, given = counted(iter([None, 7]))
    facts = EventFacts({}, ON, {"payer.denials_in_a_row": answer})
    assert given == []
    assert facts.get("payer.denials_in_a_row") is None
    assert facts.get("payer.denials_in_a_row") is None
    assert given == [None]


def test_a_lazy_fact_comes_from_its_source_and_not_from_the_event() -> None:
    facts = EventFacts({"claim": {"risk_score": 99}}, ON)
    assert facts.get("claim.risk_score") is None


def test_a_lazy_fact_that_cannot_be_had_for_now_is_not_taken_for_missing() -> None:
    def away() -> object:
        raise TransientError("unavailable")

    facts = EventFacts({}, ON, {"payer.denials_in_a_row": away})
    for _ in range(2):
        with pytest.raises(TransientError):
            facts.get("payer.denials_in_a_row")


def test_given_facts_may_be_derived_or_follow_from_their_date() -> None:
    assert GivenFacts({"claim.days_since_service": 40}, ON).get("claim.days_since_service") == 40
    assert GivenFacts({"claim.service_on": "2026-02-01"}, ON).get("claim.days_since_service") == 2
    assert GivenFacts({"claim.risk_score": 71}, ON).get("claim.risk_score") == 71


def test_a_source_asks_the_catalogue_it_is_given() -> None:
    assert EventFacts({"claim": {"id": "c"}}, ON, declared=Catalogue({}, {})).get("claim.id") is None
