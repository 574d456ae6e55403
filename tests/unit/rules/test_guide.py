"""The rules that the guide shows are rules: they load, keep their examples, and lint has nothing against them."""

import re
from datetime import date
from pathlib import Path

import pytest

from shared.rules.documents import from_yaml
from shared.rules.examples import check_examples
from shared.rules.lint import errors, lint
from shared.rules.loader import load_rule

GUIDE = Path(__file__).parents[3] / "docs" / "rules.md"
SHOWN = [
    load_rule(from_yaml(text)[0])
    for text in re.findall(r"```yaml\n(id: .*?)```", GUIDE.read_text(), re.DOTALL)
]
ON = date(2026, 2, 3)


def test_the_guide_shows_ten_rules_and_one_to_read_first() -> None:
    assert len(SHOWN) == 11
    reasons = {"197", "16", "97", "29", "50", "18", "22"}
    said = GUIDE.read_text()
    assert all(f"CO-{reason}:" in said for reason in reasons)


@pytest.mark.parametrize("rule", SHOWN, ids=lambda rule: rule.id)
def test_a_rule_of_the_guide_keeps_its_examples(rule: object) -> None:
    (shown,) = [one for one in SHOWN if one is rule]
    assert check_examples(shown) == []


def test_lint_has_nothing_against_the_rules_of_the_guide() -> None:
    found = lint(SHOWN, ON)
    assert errors(found) == []
    assert {finding.severity for finding in found} <= {"note"}
