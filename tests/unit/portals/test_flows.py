"""What a flow may say, and what lint finds in those that have the right shape."""

import shutil
from pathlib import Path

import pytest

from shared.portals.lint import check_book
from shared.portals.loader import FLOWS, lock, locked, read_book
from shared.portals.session import described
from shared.runtime.errors import PoisonError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FLOWS, tmp_path / "flows"))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def problems(folder: Path) -> list[str]:
    """Return what lint says, once what was edited has been put in force anew."""
    (folder / "versions.lock").unlink(missing_ok=True)
    list(lock(read_book(folder), folder))
    return check_book(read_book(folder), locked(folder))


def test_the_flows_in_force_are_clean_and_cover_every_action_at_three_portals() -> None:
    book = read_book()
    assert check_book(book, locked()) == []
    assert len({described(spec).id for spec in book.flows}) == 12


def test_a_version_in_force_does_not_change(folder: Path) -> None:
    edit(folder / "aetna" / "submit_appeal.yaml", "Claim number", "Claim no.")
    assert check_book(read_book(folder), locked(folder)) == [
        "aetna/submit_appeal@1: changed after it was in force; add a version instead"
    ]


def test_comments_and_layout_are_no_change(folder: Path) -> None:
    path = folder / "aetna" / "submit_appeal.yaml"
    path.write_text("# A remark.\n\n" + path.read_text())
    assert check_book(read_book(folder), locked(folder)) == []


def test_a_version_that_attempts_may_be_pinned_to_is_not_removed(folder: Path) -> None:
    (folder / "uhc" / "check_claim_status.yaml").unlink()
    (found,) = check_book(read_book(folder), locked(folder))
    assert found.startswith("uhc/check_claim_status@1: removed")


def test_a_further_version_stands_beside_the_first(folder: Path) -> None:
    path = folder / "aetna" / "submit_appeal.yaml"
    first = path.read_text()
    path.write_text(first + "---\n" + first.replace("version: 1\n", "version: 2\nchanged: a new label\n", 1))
    book = read_book(folder)
    assert check_book(book, locked(folder)) == [
        "aetna/submit_appeal@2: new; `upstream portals lint --lock` puts it in force"
    ]
    assert list(lock(book, folder)) == ["aetna/submit_appeal@2"]
    assert check_book(book, locked(folder)) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        ("aetna/submit_appeal", ", commit: true", "", "exactly one step is the commit, and 0 are"),
        (
            "aetna/submit_appeal",
            "  - click: {role: button, name: Continue to review}",
            "  - {click: {role: button, name: Continue to review}, commit: true}",
            "exactly one step is the commit, and 2 are",
        ),
        (
            "aetna/submit_appeal",
            "  - expect: {role: heading, name: Request received}",
            "  - click: {role: button, name: Done}",
            "after the commit a flow only looks and reads",
        ),
        (
            "aetna/submit_appeal",
            "into: reference}",
            "into: number}",
            "a reference is extracted after the commit",
        ),
        (
            "aetna/submit_appeal",
            "echoes_reference: true",
            "echoes_reference: false",
            "echoes_reference says other",
        ),
        (
            "blue_cross/submit_appeal",
            "echoes_reference: false",
            "echoes_reference: true",
            "echoes_reference says other",
        ),
        ("aetna/submit_appeal", "visible_after_s: 300\n", "", "visible_after_s is 165 or more"),
        (
            "aetna/submit_appeal",
            "visible_after_s: 300",
            "visible_after_s: 60",
            "visible_after_s is 165 or more",
        ),
        ("aetna/submit_appeal", ", absent: {text: No requests match your search.}", "", "nothing was found"),
        ("aetna/check_claim_status", "Paid: paid", "Paid: settled", "state is extracted, with values out of"),
        ("aetna/check_claim_status", ", as: money", "", "paid_cents is read as money"),
        (
            "aetna/check_claim_status",
            "field: claim_number",
            "secret: password",
            "secrets are typed by sign_in alone",
        ),
        ("aetna/portal", "means: captcha", "means: interstitial", "nothing that means captcha"),
        ("uhc/portal", "payer_keys: [uhc,", "payer_keys: [aetna,", "both say that they are payer aetna"),
    ],
)
def test_lint_says_what_is_wrong(folder: Path, file: str, old: str, new: str, found: str) -> None:
    edit(folder / f"{file}.yaml", old, new)
    assert any(found in problem for problem in problems(folder)), problems(folder)


@pytest.mark.parametrize(
    ("file", "old", "new", "place"),
    [
        ("aetna/portal", "site: https://", "site: http://", "site"),
        ("aetna/submit_appeal", "goto: /appeals/new", "goto: https://elsewhere.invalid/", "steps"),
        ("aetna/submit_appeal", "  - click: {role", "  - loop: {role", "steps"),
        ("aetna/submit_appeal", "{label: Claim number}", "{label: Claim number, css: input}", "steps"),
        ("aetna/submit_appeal", "portal: 1", "portal: 7", "portal.yaml has no version 7"),
        ("aetna/submit_appeal", "version: 1", "version: 1\nversion: 2", "a key comes twice"),
        ("aetna/submit_appeal", "field: claim_number", "field: claim_number, secret: password", "steps"),
    ],
)
def test_what_a_flow_cannot_say_is_refused_with_its_place(
    folder: Path, file: str, old: str, new: str, place: str
) -> None:
    edit(folder / f"{file}.yaml", old, new)
    with pytest.raises(PoisonError, match=r"aetna/") as caught:
        read_book(folder)
    assert caught.value.code == "invalid_flow"
    assert place in caught.value.detail


def test_a_folder_makes_a_payer(folder: Path) -> None:
    shutil.copytree(folder / "aetna", folder / "humana")
    edit(folder / "humana" / "portal.yaml", "payer_keys: [aetna]", "payer_keys: [humana]")
    book = read_book(folder)
    assert len([spec for spec in book.flows if spec.portal.payer_keys == {"humana"}]) == 4
    assert all("new; " in problem for problem in check_book(book, locked(folder)))
