"""`upstream rules`: lint, test, explain, diff, rollback and backtest, as an analyst runs them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.workspace import announce, withdraw
from shared.runtime.settings import to_environment

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

RULE = """
id: small-denial
version: 1
name: A denial over $100
trigger: claim.denied
when: {fact: denial.amount_cents, op: gt, value: 10000}
then: [{action: create_task, params: {kind: call, title: Call the payer}}]
mode: live
examples:
  - {given: {denial.amount_cents: 10001}, expect: fires}
  - {given: {denial.amount_cents: 10000}, expect: does_not_fire}
"""
ENVELOPE = "ISA*00*          *00*          *ZZ*PAYER          *ZZ*PRACTICE       *261101*1200*^*00501*000000001*0*P*:~"


def advice(number: str, charge: int) -> bytes:
    return (
        f"{ENVELOPE}GS*HP*PAYER*PRACTICE*20261101*1200*1*X*005010X221A1~ST*835*0001~"
        f"BPR*I*0*C*ACH************20261101~TRN*1*{number}*1512345678~DTM*405*20261101~"
        f"N1*PR*OAK HEALTH~N1*PE*PRACTICE*XX*9999999995~LX*1~CLP*{number}*4*{charge}*0**12*P1~"
        f"NM1*QC*1*SAMPLE*PAT****MI*M1~SVC*HC:99213*{charge}*0~CAS*CO*197*{charge}~SE*13*0001~GE*1*1~IEA*1*000000001~"
    ).encode()


class Desk:
    """Commands on the running pipeline, and the folder of an analyst."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home, self.folder = home, folder
        self.customer = f"Clinic {uuid4().hex[:8]}"

    def write(self, text: str, name: str = "small-denial") -> Path:
        path = self.folder / f"{name}.yaml"
        path.write_text(text)
        return path

    def run(self, *words: object, code: int = 0) -> Any:  # noqa: ANN401 - click's result
        result = CliRunner().invoke(app, ["rules", *map(str, words)])
        assert result.exit_code == code, result.output + result.stderr
        return result

    def at_home(self, *words: object, code: int = 0) -> str:
        return str(self.run(*words, "--home", self.home, code=code).stdout)


@pytest.fixture
def desk(pipeline: "Pipeline", tmp_path: Path) -> Iterator[Desk]:
    home, settings = tmp_path / "home", pipeline.threaded.runtime.settings
    home.mkdir()
    announce(home, url=pipeline.url, host_pids=[], environment=to_environment(settings), ready=True)
    yield Desk(home, tmp_path)
    withdraw(home)


def test_lint_says_what_is_wrong_where_and_what_to_do(desk: Desk) -> None:
    assert "0 errors" in desk.run("lint", desk.write(RULE)).stdout
    wrong = desk.write(RULE.replace("denial.amount_cents, op: gt", "denial.amount_cent, op: gt"))
    shown = desk.run("lint", wrong, code=1).stdout
    assert f"{wrong}:6: error: not a declared fact (invalid-rule)" in " ".join(shown.split())
    assert "did you mean denial.amount_cents?" in shown
    never = RULE.replace(
        "{fact: denial.amount_cents, op: gt, value: 10000}",
        "{all: [{fact: denial.carc, op: eq, value: '1'}, {fact: denial.carc, op: eq, value: '2'}]}",
    )
    findings = json.loads(desk.run("lint", desk.write(never), "--format", "json", code=1).stdout)
    assert {(f["code"], f["line"]) for f in findings} >= {("contradiction", 6)}


def test_lint_speaks_sarif(desk: Desk) -> None:
    never = RULE.replace("value: 10000}", "value: 20000}")
    log = json.loads(desk.run("lint", desk.write(never), "--format", "sarif", code=1).stdout)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == ("example", "error")
    assert result["ruleId"] in {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    where = result["locations"][0]["physicalLocation"]
    assert where["artifactLocation"]["uri"].endswith("small-denial.yaml")
    assert where["region"]["startLine"] == 10


def test_examples_are_run(desk: Desk) -> None:
    assert "2 examples of 1 rules are kept" in desk.run("test", desk.write(RULE)).stdout
    failed = desk.run("test", desk.write(RULE.replace("value: 10000", "value: 20000")), code=1)
    assert "does not fire and should" in failed.stderr
    assert "✗ denial.amount_cents gt 20000 (is 10001)" in failed.stderr


def test_a_rule_with_an_error_is_not_applied(desk: Desk, pipeline: "Pipeline") -> None:
    pipeline.customer(desk.customer)
    always = RULE.replace(
        "{fact: denial.amount_cents, op: gt, value: 10000}",
        "{not: {all: [{fact: denial.carc, op: eq, value: '1'}, {fact: denial.carc, op: eq, value: '2'}]}}",
    )
    result = desk.run("apply", desk.write(always), "--customer", desk.customer, "--home", desk.home, code=1)
    assert "always true" in result.stderr
    assert json.loads(desk.at_home("list", "--customer", desk.customer, "--json")) == []


def test_versions_are_compared_and_rolled_back(desk: Desk, pipeline: "Pipeline") -> None:
    pipeline.customer(desk.customer)
    who = ("--customer", desk.customer)
    desk.at_home("apply", desk.write(RULE), *who)
    newer = desk.write(RULE.replace("version: 1", "version: 2").replace("Call the payer", "Call them"))
    changes = json.loads(desk.at_home("diff", newer, *who, "--json"))
    assert {(c["place"], c["old"], c["new"]) for c in changes} == {
        ("$.version", "1", "2"),
        ("$.then[0].params.title", '"Call the payer"', '"Call them"'),
    }
    desk.at_home("apply", newer, *who)
    assert json.loads(desk.at_home("diff", newer, *who, "--json")) == []
    back = json.loads(desk.at_home("rollback", "small-denial", *who, "--json"))
    assert {(c["version"], c["change"]) for c in back} == {(1, "restored"), (2, "retired")}
    forth = json.loads(desk.at_home("rollback", "small-denial", *who, "--to", "2", "--json"))
    assert {(c["version"], c["change"]) for c in forth} == {(2, "restored"), (1, "retired")}
    desk.at_home("rollback", "small-denial", *who, "--to", "7", code=1)
    desk.at_home("rollback", "no-such-rule", *who, code=1)


CHAINED = """
id: {name}
version: {version}
name: Looks again
trigger: action.{outcome}
when: {{fact: action.type, op: eq, value: {seen}}}
then: [{{action: {does}}}]
mode: live
{more}
examples:
  - {{given: {{action.type: {seen}}}, expect: fires}}
  - {{given: {{action.type: submit_appeal}}, expect: does_not_fire}}
"""


def chained(name: str, *, seen: str, does: str, version: int = 1, more: str = "") -> str:
    """Return a rule that follows what one action comes to with another."""
    return CHAINED.format(name=name, version=version, outcome="failed", seen=seen, does=does, more=more)


def test_rules_that_set_each_other_off_are_refused_whichever_file_they_are_in(
    desk: Desk, pipeline: "Pipeline"
) -> None:
    pipeline.customer(desk.customer)
    who = ("--customer", desk.customer)
    one = chained("one", seen="check_claim_status", does="check_authorization_status")
    other = chained("other", seen="check_authorization_status", does="check_claim_status")
    desk.at_home("apply", desk.write(one, "one"), *who)
    path = desk.write(other, "other")
    assert "0 errors" in desk.run("lint", path).stdout
    for more in ((), ("--dry-run",)):
        result = desk.run("apply", path, *who, *more, "--home", desk.home, code=1)
        assert "what it does can set it off again" in result.stderr
        assert "with the rules in force, lint finds 2 errors" in result.stderr
    assert [r["rule_id"] for r in json.loads(desk.at_home("list", *who, "--json"))] == ["one"]
    desk.at_home(
        "apply",
        desk.write(one.replace("mode: live", "mode: off").replace("version: 1", "version: 2"), "one"),
        *who,
    )
    desk.at_home("apply", path, *who)
    back = desk.run("rollback", "one", *who, "--home", desk.home, code=1)
    assert "nothing was changed" in back.stderr
    versions = {r["rule_id"]: r["version"] for r in json.loads(desk.at_home("list", *who, "--json"))}
    assert versions == {"one": 2, "other": 1}


def test_a_rule_that_one_in_force_always_hides_is_refused(desk: Desk, pipeline: "Pipeline") -> None:
    pipeline.customer(desk.customer)
    who = ("--customer", desk.customer)
    wide = RULE.replace("small-denial", "wide").replace("mode: live", "mode: live\nstop: true\npriority: 9")
    desk.at_home("apply", desk.write(wide, "wide"), *who)
    narrow = RULE.replace("10000}, expect: does", "1}, expect: does").replace("value: 10000", "value: 20000")
    hidden = narrow.replace("10001}, expect: fires", "20001}, expect: fires")
    result = desk.run("apply", desk.write(hidden), *who, "--home", desk.home, code=1)
    assert "wide fires whenever this would" in result.stderr


def test_what_was_wrong_before_does_not_keep_other_rules_out(desk: Desk, pipeline: "Pipeline") -> None:
    customer_id = pipeline.customer(desk.customer)
    stale = {"id": "stale", "version": 1, "trigger": "claim.denied"}  # of a release that took it
    pipeline.rule(customer_id, stale)
    desk.at_home("apply", desk.write(RULE), "--customer", desk.customer)
    assert len(json.loads(desk.at_home("list", "--customer", desk.customer, "--json"))) == 2


def test_who_put_which_version_in_force_is_kept(desk: Desk, pipeline: "Pipeline") -> None:
    pipeline.customer(desk.customer)
    who = ("--customer", desk.customer)
    desk.at_home("apply", desk.write(RULE), *who, "--by", "ana")
    desk.at_home("apply", desk.write(RULE), *who, "--by", "nobody")  # changes nothing
    desk.at_home("apply", desk.write(RULE.replace("version: 1", "version: 2")), *who, "--by", "ben")
    desk.at_home("rollback", "small-denial", *who, "--by", "cleo")
    made = json.loads(desk.at_home("history", *who, "--json"))
    assert {(c["version"], c["change"], c["changed_by"]) for c in made[:2]} == {
        (1, "restored", "cleo"),
        (2, "retired", "cleo"),
    }
    assert {(c["version"], c["change"], c["changed_by"]) for c in made[2:]} == {
        (1, "retired", "ben"),
        (2, "added", "ben"),
        (1, "added", "ana"),
    }
    assert "cleo" in desk.at_home("history", *who, "--rule", "small-denial")
    assert json.loads(desk.at_home("history", *who, "--rule", "another", "--json")) == []


def test_a_decision_is_explained_and_a_draft_tried_on_the_past(desk: Desk, pipeline: "Pipeline") -> None:
    customer_id = pipeline.customer(desk.customer)
    who = ("--customer", desk.customer)
    desk.at_home("apply", desk.write(RULE), *who)
    connection = pipeline.connection(customer_id)
    for nth, charge in enumerate([50, 150, 250]):
        pipeline.send(connection, advice(f"K{nth}", charge))
        assert pipeline.drained()
    events = pipeline.rows(
        "SELECT id, created_at FROM outbox WHERE customer_id = CAST(:c AS uuid) AND topic = 'domain-events'"
        " ORDER BY created_at",
        c=str(customer_id),
    )
    shown = desk.at_home("explain", "--event", events[0]["id"])
    assert "✗ denial.amount_cents gt 10000 (is 5000)" in shown
    assert "✓ denial.amount_cents gt 10000 (is 15000)" in desk.at_home(
        "explain", "--event", events[1]["id"], "--rule", "small-denial"
    )
    desk.at_home("explain", "--event", uuid4(), code=1)
    desk.at_home("explain", "--event", events[1]["id"], "--rule", "other", code=1)

    day, chart = events[0]["created_at"].date(), desk.folder / "chart.svg"
    draft = desk.write(
        RULE.replace("version: 1", "version: 2").replace("10000", "20000").replace("10001", "20001")
    )
    asked = ("backtest", draft, *who, "--from", day, "--to", events[-1]["created_at"].date())
    found = json.loads(desk.at_home(*asked, "--chart", chart, "--json"))
    assert (found["events"], found["only_draft"], found["only_in_force"]) == (3, 0, 1)
    assert found["draft"]["rules"] == [
        {"rule_id": "small-denial", "outcome": "fired", "times": 1, "cents": 25000}
    ]
    assert found["in_force"]["payers"] == {"oak-health": {"times": 2, "cents": 40000}}
    assert found["in_force"]["actions"] == {"create_task": 2}
    assert ET.parse(chart).getroot().tag.endswith("svg")  # noqa: S314 - our own
    table = desk.at_home(*asked)
    assert "3 events" in table
    assert "oak-health" in table
    stored = pipeline.rows(
        "SELECT version FROM automation_rules WHERE customer_id = CAST(:c AS uuid)", c=str(customer_id)
    )
    assert stored == [{"version": 1}], "a back-test changes nothing"


def test_a_draft_that_asks_what_nobody_recorded_says_so(desk: Desk, pipeline: "Pipeline") -> None:
    customer_id = pipeline.customer(desk.customer)
    connection = pipeline.connection(customer_id)
    pipeline.send(connection, advice("L1", 150))
    assert pipeline.drained()
    lazy = RULE.replace(
        "denial.amount_cents, op: gt, value: 10000", "payer.denials_in_week, op: gte, value: 1"
    )
    lazy = lazy.replace("denial.amount_cents: 10001", "payer.denials_in_week: 1")
    lazy = lazy.replace("denial.amount_cents: 10000", "payer.denials_in_week: 0")
    (event,) = pipeline.rows(
        "SELECT created_at FROM outbox WHERE customer_id = CAST(:c AS uuid) AND topic = 'domain-events'",
        c=str(customer_id),
    )
    day = event["created_at"].date()
    asked = ("backtest", desk.write(lazy), "--customer", desk.customer, "--from", day, "--to", day)
    assert json.loads(desk.at_home(*asked, "--json"))["unknown"] == {"payer.denials_in_week": 1}
    assert "payer.denials_in_week was not recorded of 1 events" in " ".join(desk.at_home(*asked).split())
