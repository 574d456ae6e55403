"""Which stored versions change when a customer's rules are applied."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.postgres.operators import plan
from shared.ports.operators import Change, RuleChange, RuleDocument
from shared.runtime.errors import PoisonError

Version = tuple[str, int]

VERSIONS = st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 4))


def document(key: Version, text: str = "") -> RuleDocument:
    return {"id": key[0], "version": key[1], "name": text}


def changes(stored: dict[Version, bool], wanted: set[Version]) -> dict[Version, Change]:
    held = {key: (document(key), active) for key, active in stored.items()}
    found = plan(held, {key: document(key) for key in wanted})
    return {(change.rule_id, change.version): change.change for change in found}


def test_a_new_version_retires_the_old_one() -> None:
    assert changes({("a", 1): True}, {("a", 2)}) == {("a", 1): "retired", ("a", 2): "added"}


def test_applying_the_same_again_changes_nothing() -> None:
    assert changes({("a", 1): True}, {("a", 1)}) == {("a", 1): "unchanged"}


def test_an_old_version_can_be_put_back_in_force() -> None:
    stored = {("a", 1): False, ("a", 2): True}
    assert changes(stored, {("a", 1)}) == {("a", 1): "restored", ("a", 2): "retired"}


def test_two_versions_can_be_in_force_each_for_its_dates() -> None:
    assert changes({("a", 1): True}, {("a", 1), ("a", 2)}) == {("a", 1): "unchanged", ("a", 2): "added"}


def test_a_stored_version_never_says_something_else() -> None:
    with pytest.raises(PoisonError, match="needs a new version") as raised:
        plan({("a", 1): (document(("a", 1)), True)}, {("a", 1): document(("a", 1), "changed")})
    assert raised.value.code == "invalid_rule"


@given(stored=st.dictionaries(VERSIONS, st.booleans()), wanted=st.sets(VERSIONS))
def test_afterwards_exactly_the_wanted_versions_are_active(
    stored: dict[Version, bool], wanted: set[Version]
) -> None:
    active = {key for key, is_active in stored.items() if is_active}
    for key, change in changes(stored, wanted).items():
        if change == "retired":
            active.discard(key)
        elif change in {"added", "restored"}:
            active.add(key)
    assert active == wanted


def test_changes_come_by_rule_and_version() -> None:
    found = plan({}, {key: document(key) for key in [("b", 1), ("a", 2), ("a", 1)]})
    assert found == [RuleChange("a", 1, "added"), RuleChange("a", 2, "added"), RuleChange("b", 1, "added")]
