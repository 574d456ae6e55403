"""One letter for several claims: said first, filed once, each claim's appeal recorded once."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.workspace import announce, withdraw
from shared.adapters.memory_portal import InMemoryPdfPrinter
from shared.adapters.postgres.appeal_desk import PostgresAppealDesk
from shared.adapters.postgres.cases import PostgresCaseFiles
from shared.domain.actions import client_reference
from shared.handlers.consolidate_appeals import Letter, Wanted, file, gather
from shared.ports.portal import PortalStopError
from shared.runtime.errors import AmbiguousOutcomeError, PermanentError, TransientError
from shared.runtime.settings import to_environment
from tests.functional.action_desk import Desk

if TYPE_CHECKING:
    from shared.domain.events import Received
    from tests.functional.conftest import Pipeline

SINCE = date(2026, 6, 1)


@pytest.fixture
def desk(pipeline: "Pipeline", tmp_path: Path) -> Desk:
    """Return a desk whose payer denied claims C-1 to C-4 for want of authorization, and C-5 as bundled."""
    desk = Desk(pipeline, tmp_path)
    for number, carc in (("C-2", "197"), ("C-3", "15"), ("C-4", "197"), ("C-5", "97")):
        desk.deny(number, carc=carc, cents=10_000)
    return desk


def letter_of(desk: Desk, **changes: Any) -> Letter:  # noqa: ANN401 - any member of Wanted
    wanted = Wanted(desk.customer, desk.payer, "no_authorization", SINCE, **changes)
    operator = desk.pipeline.operator
    return gather(wanted, desk=PostgresAppealDesk(operator), cases=PostgresCaseFiles(operator))


def filed(desk: Desk, letter: Letter) -> UUID:
    return file(letter, by="dana", now=desk.clock(), desk=PostgresAppealDesk(desk.pipeline.operator))


def request_of(desk: Desk, action: UUID) -> "Received":
    """Return the message that went out for the letter, as push delivers it."""
    [message] = [row for row in desk.rows("outbox") if row["topic"] == "portal-actions"]
    assert message["id"] == action
    return desk._event(
        "action.requested", action, json.loads(bytes(message["data"])), message["attributes"]["ce-subject"]
    )


def numbers(letter: Letter) -> list[str]:
    return [case.number for case in letter.cases]


def test_a_letter_covers_the_claims_of_one_payer_and_reason(desk: Desk) -> None:
    letter = letter_of(desk)
    assert numbers(letter) == ["C-1", "C-2", "C-3", "C-4"]
    assert letter.disputed_cents == 120_000
    assert letter.left_out == ()


def test_a_letter_is_filed_once_with_every_claim_in_it(desk: Desk) -> None:
    letter = letter_of(desk)
    action = filed(desk, letter)
    received = request_of(desk, action)
    desk.do(received)
    desk.do(received)
    [in_portal] = desk.portals.filed
    assert in_portal.submission.client_reference == client_reference(action)
    assert (in_portal.fields["claim_number"], in_portal.fields["amount"]) == ("C-1", "1200.00")
    printer = desk.worker.printer
    assert isinstance(printer, InMemoryPdfPrinter)
    [html] = printer.printed
    assert [number for number in ("C-1", "C-2", "C-3", "C-4", "C-5") if f">{number}<" in html] == numbers(
        letter
    )
    appeals = desk.rows("appeals")
    assert {(row["claim_id"], row["amount_cents"], row["reference"]) for row in appeals} == {
        (case.id, case.disputed_cents, "CNF-000001") for case in letter.cases
    }
    assert {row["letter_id"] for row in appeals} == {action}
    assert len(appeals) == 4


def test_a_claim_under_appeal_is_left_out_and_said(desk: Desk) -> None:
    requested, filed_before, answered = (desk.deny(f"D-{n}") for n in range(3))
    desk.request(subject=f"claims/{requested}")
    for claim in (filed_before, answered):
        desk.do(desk.request(subject=f"claims/{claim}"))
    desk.pipeline.execute(
        "UPDATE appeals SET outcome = 'upheld' WHERE claim_id = CAST(:id AS uuid)", id=str(answered)
    )
    letter = letter_of(desk)
    assert numbers(letter) == ["C-1", "C-2", "C-3", "C-4"]
    assert {one.number: one.why for one in letter.left_out} == {
        "D-0": "under appeal: an action is requested",
        "D-1": "under appeal: the payer has not answered",
        "D-2": "appealed at level 1 before: upheld",
    }
    second_level = letter_of(desk, level=2)
    assert "D-2" in numbers(second_level)
    assert {one.number for one in second_level.left_out} == {"D-0", "D-1"}


def test_a_claim_whose_submission_failed_may_be_appealed(desk: Desk) -> None:
    received = desk.request(subject=f"claims/{desk.claim}")
    desk.portals.fail("prepare", PortalStopError("payer_refused", "form"))
    desk.do(received)
    assert desk.row(received)["state"] == "failed"
    assert "C-1" in numbers(letter_of(desk))


def test_claims_of_a_letter_are_under_appeal_from_the_request_on(desk: Desk) -> None:
    first = letter_of(desk, most=2)
    assert numbers(first) == ["C-1", "C-2"]
    assert {one.number for one in first.left_out} == {"C-3", "C-4"}
    filed(desk, first)
    second = letter_of(desk, most=2)
    assert numbers(second) == ["C-3", "C-4"]
    assert {one.number: one.why for one in second.left_out} == dict.fromkeys(
        ("C-1", "C-2"), "under appeal: an action is requested"
    )


def test_two_people_at_once_file_one_letter_of_a_claim(desk: Desk) -> None:
    letters = [
        letter_of(desk, most=3),
        letter_of(desk, most=4),
        letter_of(desk, most=3),
        letter_of(desk, most=4),
    ]

    def race(letter: Letter) -> UUID | str:
        try:
            return filed(desk, letter)
        except PermanentError as exc:
            return exc.code

    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(race, letters))
    assert len({result for result in results if isinstance(result, UUID)}) == 1
    assert results.count("claim_lost") == 2
    assert len(desk.rows("actions")) == 1
    assert len([row for row in desk.rows("outbox") if row["topic"] == "portal-actions"]) == 1


def test_a_lost_reply_is_adopted_for_every_claim(desk: Desk) -> None:
    received = request_of(desk, filed(desk, letter_of(desk)))
    desk.portals.fail("confirm", AmbiguousOutcomeError("commit_unclear"))
    with pytest.raises(TransientError):
        desk.do(received)
    desk.do(received, attempt=2)
    assert len(desk.portals.filed) == 1
    assert {row["reference"] for row in desk.rows("appeals")} == {"CNF-000001"}
    assert len(desk.rows("appeals")) == 4


def test_a_claim_that_is_another_payers_by_now_calls_a_person(desk: Desk) -> None:
    received = request_of(desk, filed(desk, letter_of(desk)))
    desk.pipeline.execute(
        "UPDATE claims SET payer_key = 'another' WHERE customer_id = CAST(:c AS uuid) AND claim_number = 'C-3'",
        c=str(desk.customer),
    )
    desk.do(received)
    assert (desk.row(received)["state"], desk.row(received)["code"]) == ("open", "no_subject")
    assert desk.portals.filed == []


def test_one_claim_is_no_letter_for_several(desk: Desk) -> None:
    wanted = Wanted(desk.customer, desk.payer, "bundling", SINCE)
    operator = desk.pipeline.operator
    letter = gather(wanted, desk=PostgresAppealDesk(operator), cases=PostgresCaseFiles(operator))
    assert numbers(letter) == ["C-5"]
    with pytest.raises(PermanentError, match="two or more"):
        filed(desk, letter)


# The command.


@pytest.fixture
def home(pipeline: "Pipeline") -> Iterator[Path]:
    runtime = pipeline.threaded.runtime
    environment = to_environment(runtime.settings)
    home = runtime.settings.home
    announce(home, url=runtime.url, host_pids=runtime.host_pids(), environment=environment, ready=True)
    yield home
    withdraw(home)


def run(home: Path, *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, [*words, "--home", str(home)])
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout


def test_the_command_says_what_it_would_file_and_then_files_it(desk: Desk, home: Path) -> None:
    name = f"Practice {desk.customer.hex[:8]}"
    desk.pipeline.execute(
        "UPDATE customers SET name = :name WHERE id = CAST(:id AS uuid)", name=name, id=str(desk.customer)
    )
    days = (datetime.now(UTC).date() - SINCE).days
    words = (
        *(
            "appeals",
            "consolidate",
            "--customer",
            name,
            "--payer",
            desk.payer,
            "--reason",
            "no_authorization",
        ),
        *("--days", str(max(days, 1)), "--by", "dana"),
    )
    said = json.loads(run(home, *words, "--json"))
    assert (said["action"], said["disputed_cents"]) == (None, 120_000)
    assert [claim["number"] for claim in said["claims"]] == ["C-1", "C-2", "C-3", "C-4"]
    assert desk.rows("actions") == []
    action = json.loads(run(home, *words, "--yes", "--json"))["action"]
    assert desk.pipeline.drained()
    [row] = desk.rows("actions")  # the pipeline's own worker took it up, and has no flow for this payer
    assert (str(row["id"]), row["rule_id"], row["state"], row["code"]) == (
        action,
        "by hand",
        "open",
        "no_portal_flow",
    )
    assert row["params"]["asked_by"] == "dana"
    again = run(home, *words, code=0)
    assert "under appeal: an action is open" in again
    run(home, *words, "--yes", code=1)


def test_an_answer_is_noted_of_one_claim_of_the_letter_or_of_all(desk: Desk, home: Path) -> None:
    action = filed(desk, letter_of(desk))
    desk.do(request_of(desk, action))
    noted = ("appeals", "record", str(action), "--on", "2026-12-10", "--by", "dana")
    run(home, *noted, "--outcome", "partly", "--recovered", "50.00", code=1)  # of which claim?
    run(home, *noted, "--outcome", "partly", "--claim", "X-9", code=1)
    assert {row["outcome"] for row in desk.rows("appeals")} == {"pending"}
    run(home, *noted, "--outcome", "upheld")
    run(home, *noted, "--outcome", "partly", "--claim", "C-2", "--recovered", "50.00")
    outcomes = {
        str(row["claim_id"]): (row["outcome"], row["recovered_cents"]) for row in desk.rows("appeals")
    }
    assert sorted(outcomes.values()) == [("partly", 5_000), *[("upheld", 0)] * 3]
    [stat] = [
        s
        for s in json.loads(run(home, "appeals", "stats", "--json"))
        if s["payer_key"] == desk.payer and s["carc"] == "197"
    ]
    assert (stat["submitted"], stat["upheld"], stat["partly"]) == (3, 2, 1)
