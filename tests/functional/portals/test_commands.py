"""`upstream portals`, against the simulated portals."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app
from tests.functional.portals.visits import PAYERS

runner = CliRunner()


def test_lint_finds_nothing_wrong_with_the_flows_in_force() -> None:
    done = runner.invoke(app, ["portals", "lint"])
    assert (done.exit_code, "nothing wrong" in done.output) == (0, True), done.output


def test_the_list_says_which_portal_echoes_our_reference() -> None:
    done = runner.invoke(app, ["portals", "list", "--json"])
    assert done.exit_code == 0
    assert '"flow": "blue_cross/submit_appeal@1"' in done.output


@pytest.mark.usefixtures("chromium")
@pytest.mark.parametrize(
    "flow", ["aetna/check_claim_status", "uhc/submit_appeal", "blue_cross/submit_reauth_request@1"]
)
def test_a_dry_run_stops_before_the_commit_and_what_it_recorded_fits_the_flow(
    tmp_path: Path, flow: str
) -> None:
    pages, pictures = tmp_path / "pages", tmp_path / "pictures"
    command = ["portals", "run", "--flow", flow, "--dry-run", "--simulator"]
    done = runner.invoke(app, [*command, "--record", str(pages), "--out", str(pictures)])
    assert done.exit_code == 0, done.output
    assert "commit" not in done.output
    assert [path.suffix for path in pictures.iterdir()] == [".png"]
    recorded = "".join(path.read_text() for path in pages.iterdir())
    assert "DEMO-MEMBER_ID" not in recorded
    assert "clinic" not in recorded

    fits = runner.invoke(app, ["portals", "record-check", "--flow", flow, str(pages)])
    assert fits.exit_code == 0, fits.output
    for path in pages.iterdir():
        path.write_text(path.read_text().replace("Claim n", "Case n").replace("member", "subscriber"))
        path.write_text(path.read_text().replace("Authorization no.", "Reference no."))
    changed = runner.invoke(app, ["portals", "record-check", "--flow", flow, str(pages)])
    assert changed.exit_code == 1
    assert "not as the flow knows them" in changed.output


def test_a_submission_is_not_made_by_hand() -> None:
    done = runner.invoke(app, ["portals", "run", "--flow", "aetna/submit_appeal", "--simulator"])
    assert (done.exit_code, "--dry-run" in done.output) == (1, True)


@pytest.mark.usefixtures("chromium")
@pytest.mark.parametrize("portal", [name for name in PAYERS if name != "uhc"])
def test_a_canary_looks_for_what_is_not_there(portal: str) -> None:
    done = runner.invoke(app, ["portals", "canary", portal, "--simulator"])
    assert (done.exit_code, done.output.count("ok ")) == (0, 4), done.output
