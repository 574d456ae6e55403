import json
import subprocess
import sys
from pathlib import Path
from typing import cast, get_args

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.actions import OnError
from shared.rules.documents import from_json, from_yaml
from shared.rules.facts import catalogue
from shared.rules.language import ACTIONS, EXPECTATIONS, MODES, ON_ERROR
from shared.rules.loader import load_rule, read_file, read_pack
from shared.rules.operators import OPERATORS
from shared.rules.schema import SCHEMA
from shared.runtime.errors import PoisonError

ROOT = Path(__file__).parents[3]

TEXT = """
id: late-denial
version: 1
name: Late denial
trigger: claim.denied
when: {fact: denial.carc, op: eq, value: "29"}
then: [{action: submit_appeal, params: {template: timely_filing}}]
mode: live
effective_from: 2026-01-01
effective_until: 2026-06-30
examples:
  - {given: {denial.carc: "29"}, expect: fires}
  - {given: {denial.carc: "30"}, expect: does_not_fire}
"""


def schema() -> dict[str, object]:
    return cast("dict[str, object]", json.loads(SCHEMA.read_text(encoding="utf-8")))


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


# The schema and the code say the same


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(schema())


def test_the_schema_names_what_the_code_knows() -> None:
    properties = cast("dict[str, dict[str, object]]", schema()["properties"])
    definitions = cast("dict[str, dict[str, dict[str, dict[str, object]]]]", schema()["definitions"])
    assert properties["trigger"]["enum"] == list(catalogue().amounts)
    assert properties["mode"]["enum"] == list(MODES)
    assert properties["on_error"]["enum"] == list(ON_ERROR) == list(get_args(OnError))
    assert definitions["predicate"]["properties"]["op"]["enum"] == list(OPERATORS)
    assert definitions["action"]["properties"]["action"]["enum"] == list(ACTIONS)
    assert definitions["example"]["properties"]["expect"]["enum"] == list(EXPECTATIONS)


# Documents


def document() -> dict[str, object]:
    (found,) = from_yaml(TEXT)
    return cast("dict[str, object]", found)


def test_a_document_of_the_right_shape_and_meaning_is_a_rule() -> None:
    assert load_rule(document()).id == "late-denial"


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        ("examples", [], "$.examples"),
        ("examples", None, "$.examples"),
        ("id", "Late Denial", "$.id"),
        ("colour", "red", "$"),
        ("mode", False, "$.mode"),
        ("trigger", "claim.eaten", "$.trigger"),
        ("when", {"fact": "denial.carc", "op": "like", "value": "2%"}, "$.when.op"),
        ("when", {"fact": "denial.carc", "op": "eq"}, "$.when"),
        ("when", {"all": [{"not": {"any": []}}]}, "$.when.all[0].not.any"),
        ("when", {"fact": "denial.carc", "op": "eq", "value": 29}, "$.when.value"),
        ("when", {"fact": "denial.amount_cents", "op": "gt", "value": "500"}, "$.when.value"),
        ("when", {"fact": "denial.shoe_size", "op": "eq", "value": 45}, "$.when.fact"),
        ("then", [{"action": "submit_appeal"}], "$.then[0]"),
        (
            "then",
            [{"action": "submit_appeal", "params": {"template": "Dear Sir"}}],
            "$.then[0].params.template",
        ),
        ("then", [{"action": "hold_claim", "params": {}}], "$.then[0].params"),
        ("then", [{"action": "notify", "params": {"title": "x", "to": "a@b.example"}}], "$.then[0].params"),
        (
            "then",
            [{"action": "create_task", "params": {"title": "x", "kind": "Do!"}}],
            "$.then[0].params.kind",
        ),
        (
            "then",
            [{"action": "check_claim_status", "params": {"after_days": 91}}],
            "$.then[0].params.after_days",
        ),
        (
            "then",
            [{"action": "escalate", "params": {"title": "x", "severity": "dire"}}],
            "$.then[0].params.severity",
        ),
        ("limits", {}, "$.limits"),
        ("limits", {"windows": [{"days": 1}]}, "$.limits.windows[0]"),
        ("source", {"document": "x", "link": "javascript:alert(1)"}, "$.source.link"),
        ("effective_from", "soon", "$.effective_from"),
        ("effective_from", "2026-02-30", "$.effective_from"),
    ],
    ids=str,
)
def test_a_document_of_the_wrong_shape_or_meaning_is_refused(field: str, value: object, place: str) -> None:
    with pytest.raises(PoisonError) as refused:
        load_rule({**document(), field: value})
    assert refused.value.code == "invalid_rule"
    assert str(refused.value).startswith(place)


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_has_its_parameters_checked(action: str) -> None:
    with pytest.raises(PoisonError, match=r"^\$\.then\[0\]\.params"):
        load_rule({**document(), "then": [{"action": action, "params": {"no_such": 1}}]})


def test_loading_leaves_the_document_as_it_was() -> None:
    given_document = document()
    load_rule(given_document)
    assert given_document == document()


# YAML, and only what JSON could say


def test_words_dates_and_zeros_stay_what_was_written() -> None:
    (found,) = from_yaml(
        "{mode: off, answer: no, day: 2026-03-01, code: 0123, time: 12:30, '7': x, tilde: ~, "
        "big: 12345678901234567890}"
    )
    assert found == {
        "mode": "off",
        "answer": "no",
        "day": "2026-03-01",
        "code": "0123",
        "time": "12:30",
        "7": "x",
        "tilde": None,
        "big": "12345678901234567890",
    }


def test_numbers_and_truth_are_those_of_json() -> None:
    assert from_yaml("[0, -7, 1.5, 2e3, true, false, null, .inf, .nan, 0x1F, 1_000, 'true']") == [
        [0, -7, 1.5, 2000.0, True, False, None, ".inf", ".nan", "0x1F", "1_000", "true"]
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: 1\na: 2", "line 2"),
        ("a: &x 1\nb: *x", "line 2"),
        ("7: x", "line 1"),
        ("a: !!python/object:os.system x", "line 1"),
        ("a: !!timestamp 2026-01-01", "line 1"),
        ("a: !!binary eA==", "line 1"),
        ("\na: [1", "line"),
        ("a: \x07", "$"),
        ("[" * 100_000, "$"),
        ("x" * 1_000_001, "$"),
    ],
    ids=lambda text: str(text)[:20],
)
def test_yaml_that_json_could_not_say_is_refused(text: str, place: str) -> None:
    with pytest.raises(PoisonError) as refused:
        from_yaml(text)
    assert refused.value.code == "invalid_rule"
    assert str(refused.value).startswith(place)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"a": 1, "a": 2}', "$"),
        ('{"a": NaN}', "$"),
        ("{\n,", "line 2"),
        ("[" * 100_000, "$"),
        ("1" * 5000, "$"),
    ],
    ids=lambda text: str(text)[:20],
)
def test_json_that_is_not_quite_json_is_refused(text: str, place: str) -> None:
    with pytest.raises(PoisonError) as refused:
        from_json(text)
    assert str(refused.value).startswith(place)


def refusal(text: str) -> PoisonError | None:
    try:
        from_yaml(text)
    except PoisonError as exc:
        return exc
    return None


@given(st.text() | st.text(st.sampled_from("{}[]:,-&*!|>'\"\n ab1?%@`#")))
def test_any_text_is_yaml_or_refused(text: str) -> None:
    error = refusal(text)
    assert error is None or error.code == "invalid_rule"


# Files


SECOND = TEXT.replace("version: 1", "version: 2").replace("_until: 2026-06-30", "_until: 2026-12-31")


def test_a_file_holds_the_versions_of_one_rule(tmp_path: Path) -> None:
    later = SECOND.replace("2026-01-01", "2026-07-01")
    drafts = read_file(written(tmp_path, "late-denial.yaml", f"{TEXT}---{later}"))
    assert [draft.rule.version for draft in drafts] == [1, 2]
    assert drafts[0].document == document()


def test_a_json_file_says_the_same(tmp_path: Path) -> None:
    (draft,) = read_file(written(tmp_path, "late-denial.json", json.dumps(document())))
    assert draft.rule == load_rule(document())


def test_an_error_names_the_file_and_the_place(tmp_path: Path) -> None:
    path = written(tmp_path, "late-denial.yaml", TEXT.replace('value: "29"', "value: 29"))
    with pytest.raises(PoisonError, match=r"^late-denial\.yaml: \$\.when\.value: .*put it in quotes"):
        read_file(path)
    with pytest.raises(PoisonError, match=r"^other\.yaml: \$\.id: the file's name says other"):
        read_file(written(tmp_path, "other.yaml", TEXT))
    with pytest.raises(PoisonError, match=r"^late-denial\.yaml: \$: holds no rule"):
        read_file(written(tmp_path, "late-denial.yaml", "# later"))
    (tmp_path / "late-denial.yaml").write_bytes(b"\xff")
    with pytest.raises(PoisonError, match=r"^late-denial\.yaml: \$: not UTF-8"):
        read_file(path)


@pytest.mark.parametrize(
    "second", [TEXT, SECOND.replace("2026-01-01", "2026-06-30")], ids=["same", "one day"]
)
def test_versions_that_overlap_are_refused(tmp_path: Path, second: str) -> None:
    written(tmp_path, "late-denial.yaml", f"{TEXT}---{second}")
    with pytest.raises(PoisonError, match="in effect on the same day"):
        read_pack(tmp_path)


def test_a_pack_is_every_rule_file_of_a_folder_and_nothing_else(tmp_path: Path) -> None:
    written(tmp_path, "late-denial.yaml", TEXT)
    written(tmp_path, "a-rule.yml", TEXT.replace("late-denial", "a-rule"))
    written(tmp_path, "README.md", "not a rule")
    assert [draft.rule.id for draft in read_pack(tmp_path)] == ["a-rule", "late-denial"]


def test_deciding_needs_neither_yaml_nor_a_schema_library() -> None:
    code = (
        "import sys, shared.rules.evaluator, shared.rules.language, shared.rules.loader, shared.rules.examples;"
        "print(sorted({'yaml', 'fastjsonschema'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
