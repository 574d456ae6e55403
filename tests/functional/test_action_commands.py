"""`upstream actions` and `upstream appeals`: what a person sees and says, and what follows."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.workspace import announce, withdraw
from shared.ports.portal import PortalStopError
from shared.runtime.errors import AmbiguousOutcomeError, TransientError
from shared.runtime.settings import to_environment
from tests.functional.action_desk import PATIENT, Desk

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline


class Shell:
    """Runs commands against the test's pipeline."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, [*words, "--home", str(self.home)])
        assert result.exit_code == code, (result.output, result.exception)
        return result.output

    def json(self, *words: str) -> Any:  # noqa: ANN401 - whatever the command prints
        return json.loads(self.run(*words, "--json"))


@pytest.fixture
def shell(pipeline: "Pipeline") -> Iterator[Shell]:
    runtime = pipeline.threaded.runtime
    environment = to_environment(runtime.settings)
    home = runtime.settings.home
    announce(home, url=runtime.url, host_pids=runtime.host_pids(), environment=environment, ready=True)
    yield Shell(home)
    withdraw(home)


@pytest.fixture
def desk(pipeline: "Pipeline", tmp_path: Path) -> Desk:
    return Desk(pipeline, tmp_path)


def test_what_needs_a_person_is_listed_first_and_shown_with_its_evidence(desk: Desk, shell: Shell) -> None:
    done, stuck = desk.request(), desk.request("submit_reauth_request")
    desk.portals.fail("prepare", PortalStopError("captcha", "form"))
    desk.do(stuck)
    desk.do(done)
    listed = shell.json("actions", "list", "--payer", desk.payer)
    assert [(entry["state"], entry["needs_a_person"]) for entry in listed] == [
        ("open", True),
        ("settled", False),
    ]
    assert [entry["id"] for entry in shell.json("actions", "list", "--waiting", "--payer", desk.payer)] == [
        str(desk.row(stuck)["id"])
    ]
    shown = shell.run("actions", "show", str(desk.row(done)["id"])[:13])
    assert "CNF-000001" in shown
    assert "page.png" in shown
    assert "sha256" in shown
    assert not [secret for secret in (PATIENT.name, PATIENT.member_id) if secret in shown]


def test_evidence_is_copied_where_it_is_asked_for(desk: Desk, shell: Shell, tmp_path: Path) -> None:
    received = desk.request()
    desk.do(received)
    # The desk of this test keeps its evidence in a folder of its own; the command reads the pipeline's.
    [visit] = desk.visits(received)
    kept = shell.home / "evidence" / "screenshots" / "copied.png"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(Path(visit["evidence"]["page.png"]).read_bytes())
    desk.pipeline.execute(
        "UPDATE action_attempts SET evidence = jsonb_build_object('page.png', CAST(:at AS text))"
        " WHERE action_id = CAST(:id AS uuid)",
        at=str(kept),
        id=str(desk.row(received)["id"]),
    )
    folder = tmp_path / "saved"
    shell.run("actions", "show", str(desk.row(received)["id"]), "--save", str(folder))
    assert (folder / "1-page.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "1-page.png").stat().st_mode & 0o077 == 0


def unknown(desk: Desk) -> Any:  # noqa: ANN401
    """Return an action of which nobody knows whether the portal took it."""
    received = desk.request()
    desk.portals.fail("commit", AmbiguousOutcomeError("commit_unclear"))
    desk.portals.fail("lookup", PortalStopError("captcha", "lookup"))
    with pytest.raises(TransientError):
        desk.do(received)
    desk.do(received, attempt=2)
    assert (desk.row(received)["state"], desk.row(received)["code"]) == ("unknown", "captcha")
    return received


def test_a_person_who_found_it_in_the_portal_settles_it_and_rules_hear(desk: Desk, shell: Shell) -> None:
    received = unknown(desk)
    action = str(desk.row(received)["id"])
    refused = CliRunner().invoke(
        app, ["actions", "resolve", action, "--as", "settled", "--note", "seen", "--home", str(shell.home)]
    )
    assert refused.exit_code == 1  # a submission that is there has a reference
    shell.run(
        *("actions", "resolve", action, "--as", "settled", "--reference", "AE-9"),
        *("--note", "in the list of appeals, filed today", "--by", "dana"),
    )
    row = desk.row(received)
    assert (row["state"], row["reference"], row["resolved_by"]) == ("settled", "AE-9", "dana")
    assert row["resolved_note"] == "in the list of appeals, filed today"
    assert desk.pipeline.drained()
    decided = [e for e in desk.rows("executions") if e["event_type"] == "action.succeeded"]
    assert len(decided) == 1
    assert (
        CliRunner()
        .invoke(
            app, ["actions", "resolve", action, "--as", "failed", "--note", "x", "--home", str(shell.home)]
        )
        .exit_code
        == 1
    )  # it needs nobody any more


def test_a_person_who_found_nothing_may_let_a_machine_submit_it(desk: Desk, shell: Shell) -> None:
    received = unknown(desk)
    action = str(desk.row(received)["id"])
    shell.run(
        "actions", "resolve", action, "--as", "again", "--note", "not there, captcha is gone", "--by", "d"
    )
    assert desk.pipeline.drained()
    row = desk.row(received)  # the pipeline's own worker took it up, and has no flow for this payer
    assert (row["state"], row["code"], row["submissions"]) == ("open", "no_portal_flow", 0)
    sent = [m for m in desk.rows("outbox") if m["consumer"] == "operator" and m["topic"] == "portal-actions"]
    assert [m["published_at"] is not None for m in sent] == [True]


def test_a_disabled_portal_is_enabled_by_name_and_its_actions_go_on(desk: Desk, shell: Shell) -> None:
    received = desk.request()
    desk.portals.fail("sign_in", PortalStopError("wrong_password", "login"))
    desk.do(received)
    name = f"Practice {desk.customer.hex[:8]}"
    desk.pipeline.execute(
        "UPDATE customers SET name = :name WHERE id = CAST(:id AS uuid)", name=name, id=str(desk.customer)
    )
    [breaker] = shell.json("portals", "breakers", "--customer", name)
    assert (breaker["portal"], breaker["state"], breaker["code"]) == (desk.payer, "open", "wrong_password")
    assert shell.json("actions", "list", "--payer", desk.payer)[0]["disabled"]
    shell.run(
        "portals", "enable", desk.payer, "--customer", name, "--why", "new password stored", "--by", "dana"
    )
    [breaker] = shell.json("portals", "breakers", "--customer", name)
    assert (breaker["state"], breaker["closed_by"], breaker["closed_why"]) == (
        "closed",
        "dana",
        "new password stored",
    )
    assert not desk.worker.ledger.disabled(desk.customer, desk.payer)
    sent = [m for m in desk.rows("outbox") if m["consumer"] == "operator"]
    assert len(sent) == 1
    shell.run("portals", "enable", desk.payer, "--customer", name, "--why", "again", code=1)  # it is
    # One that found the portal disabled, and began to wait just afterwards.
    late = desk.request("check_claim_status")
    desk.pipeline.execute(
        "UPDATE actions SET due_at = 'infinity', parked = true WHERE id = CAST(:id AS uuid)",
        id=str(desk.row(late)["id"]),
    )
    shell.run("portals", "enable", desk.payer, "--customer", name, "--why", "again")
    assert desk.row(late)["releases"] == 1


def test_an_action_whose_message_was_lost_is_released(desk: Desk, shell: Shell) -> None:
    received = desk.request()
    desk.pipeline.execute(
        "UPDATE actions SET updated_at = now() - interval '2 hours' WHERE id = CAST(:id AS uuid)",
        id=str(desk.row(received)["id"]),
    )
    shell.run("actions", "release")
    assert desk.row(received)["releases"] == 1
    assert [m["event_type"] for m in desk.rows("outbox") if m["consumer"] == "operator"] == [
        "action.requested"
    ]
    shell.run("actions", "release")
    assert desk.row(received)["releases"] == 1  # a message is under way


def named(desk: Desk) -> str:
    """Return a name that only this test's customer has."""
    name = f"Practice {desk.customer.hex[:8]}"
    desk.pipeline.execute(
        "UPDATE customers SET name = :name WHERE id = CAST(:id AS uuid)", name=name, id=str(desk.customer)
    )
    return name


def test_what_was_requested_before_rules_were_stopped_waits_and_goes_on_with_them(
    desk: Desk, shell: Shell
) -> None:
    name = named(desk)
    appeal, check = desk.request(), desk.request("check_claim_status")
    shell.run("rules", "stop", "--customer", name, "--action", "submit_appeal", "--why", "wrong letters")
    desk.do(appeal)
    assert desk.portals.filed == []
    assert (desk.row(appeal)["state"], desk.row(appeal)["parked"]) == ("requested", True)
    [waiting] = shell.json("actions", "list", "--customer", name, "--waiting")
    assert (waiting["id"], waiting["switched_off"]) == (str(desk.row(appeal)["id"]), True)
    shown = shell.run("actions", "show", waiting["id"])
    assert "switched_off" in shown
    assert "when the customer's rules are resumed" in shown
    shell.run("actions", "release")
    desk.do(check)  # an action that ends releases what is due: not this one
    assert desk.row(check)["state"] == "settled"
    assert desk.row(appeal)["releases"] == 0
    shell.run(
        "rules", "resume", "--customer", name, "--action", "submit_appeal", "--why", "letters corrected"
    )
    assert desk.pipeline.drained()
    row = desk.row(appeal)  # the pipeline's own worker took it up, and has no flow for this payer
    assert (row["releases"], row["state"], row["code"]) == (1, "open", "no_portal_flow")


def test_rules_stopped_while_a_form_is_filled_are_heard_before_submit(desk: Desk, shell: Shell) -> None:
    name = named(desk)
    received = desk.request()

    def stopped() -> datetime:
        """Tell the time, and stop the rules once a visit has begun."""
        if desk.visits(received) and not desk.rows("rule_switches"):
            shell.run("rules", "stop", "--customer", name, "--why", "wrong letters")
        return desk.clock()

    desk.do(received, worker=replace(desk.worker, clock=stopped))
    assert desk.portals.filed == []
    row = desk.row(received)
    assert (row["state"], row["code"], row["parked"], row["submissions"]) == (
        "requested",
        "switched_off",
        True,
        0,
    )
    shell.run("actions", "resolve", str(row["id"]), "--as", "failed", "--note", "not to be sent", "--by", "d")
    assert desk.row(received)["state"] == "failed"


def test_an_appeal_that_a_person_filed_is_an_appeal(desk: Desk, shell: Shell) -> None:
    received = desk.request()
    desk.portals.fail("prepare", PortalStopError("captcha", "form"))
    desk.do(received)
    action = str(desk.row(received)["id"])
    shell.run(
        *("actions", "resolve", action, "--as", "settled", "--reference", "BY-HAND-1", "--by", "dana"),
        *("--note", "filed by hand"),
    )
    [appeal] = desk.rows("appeals")
    assert (str(appeal["claim_id"]), appeal["reference"], appeal["amount_cents"], appeal["outcome"]) == (
        str(desk.claim),
        "BY-HAND-1",
        90_000,
        "pending",
    )
    shell.run("appeals", "record", action, "--outcome", "upheld", "--on", "2030-01-10", "--by", "dana")
    [stat] = [s for s in shell.json("appeals", "stats") if s["payer_key"] == desk.payer]
    assert (stat["submitted"], stat["upheld"]) == (1, 1)


def test_appeals_are_counted_by_payer_reason_and_letter(desk: Desk, shell: Shell) -> None:
    more = [f"claims/{desk.deny(number)}" for number in ("C-2", "C-3")]
    first, second, third = desk.request(), *(desk.request(subject=subject) for subject in more)
    for received in (first, second, third):
        desk.do(received)
    for received, outcome, brought in ((first, "overturned", ""), (second, "partly", "400.00")):
        amount = ("--recovered", brought) if brought else ()
        shell.run(
            *("appeals", "record", str(desk.row(received)["id"]), "--outcome", outcome, *amount),
            *("--on", "2026-12-10", "--by", "dana"),
        )
    [stat] = [s for s in shell.json("appeals", "stats") if s["payer_key"] == desk.payer]
    assert (stat["carc"], stat["template"], stat["submitted"], stat["pending"]) == (
        "197",
        "no_authorization",
        3,
        1,
    )
    assert (stat["overturned"], stat["partly"], stat["upheld"]) == (1, 1, 0)
    assert (stat["asked_cents"], stat["recovered_cents"]) == (270_000, 130_000)
    assert (stat["overturn_rate"], stat["days"]) == (1.0, 20.0)


def test_a_payment_since_the_appeal_is_its_answer(desk: Desk, shell: Shell) -> None:
    desk.do(desk.request())
    desk.pipeline.execute(
        "UPDATE claims SET paid_cents = 90000, status = 'paid', decided_on = '2026-12-04' WHERE id = CAST(:id AS uuid)",
        id=str(desk.claim),
    )
    [stat] = [s for s in shell.json("appeals", "stats") if s["payer_key"] == desk.payer]
    assert (stat["overturned"], stat["recovered_cents"], stat["days"]) == (1, 90_000, 14.0)
