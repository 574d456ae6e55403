"""What must not be seen is not: in pictures, traces and logs of real visits."""

import base64
import re
from dataclasses import replace

import pytest

from local.portal_site.site import PortalSite
from shared.portals.browser import BrowserHost
from shared.portals.masking import painted
from shared.portals.portals import BrowserPortals
from shared.ports.portal import Credentials, Evidence, PortalStopError
from shared.runtime.errors import TransientError
from tests.functional.portals.test_fault_matrix import unzipped
from tests.functional.portals.visits import MEMBER, PASSWORD, PATIENT, PAYERS, TOTP_SECRET, Case, account

# Of the same lengths as the first patient's, so that the pages are laid out alike.
ANOTHER = {"patient_name": "Bartholomew Example", "member_id": "X112233445", "born_on": "1954-02-23"}


NOISE = 2  # of 255: how far one rounded corner differs from the next
VISIBLE = 100
COMPARE = """
async (pictures) => {
  const pixels = async (base64) => {
    const picture = new Image();
    picture.src = 'data:image/png;base64,' + base64;
    await picture.decode();
    const canvas = new OffscreenCanvas(picture.width, picture.height).getContext('2d');
    canvas.drawImage(picture, 0, 0);
    return canvas.getImageData(0, 0, picture.width, picture.height).data;
  };
  const [one, other] = await Promise.all(pictures.map(pixels));
  if (one.length !== other.length) return 255;
  return one.reduce((most, value, at) => Math.max(most, Math.abs(value - other[at])), 0);
}
"""


def difference(host: BrowserHost, one: Evidence, other: Evidence) -> int:
    """Return by how much two pictures differ where they differ most, of 255."""
    pictures = [base64.b64encode(evidence.screenshot_png or b"").decode() for evidence in (one, other)]

    async def compare() -> int:
        async with host.context() as context:
            page = await context.new_page()
            return int(await page.evaluate(COMPARE, pictures))

    return host.run(compare(), timeout_s=30)


def prepared(portals: BrowserPortals, site: PortalSite, case: Case, changes: dict[str, str]) -> Evidence:
    flow = case.flow(portals)
    with portals.session(flow.id, credentials=account(site, case.portal)) as visit:
        visit.sign_in()
        visit.prepare(case.fields | changes, case.files(flow))
        return visit.evidence()


@pytest.mark.parametrize("portal", PAYERS)
def test_the_picture_of_one_patients_form_is_to_the_pixel_that_of_anothers(
    portals: BrowserPortals, site: PortalSite, portal: str
) -> None:
    assert len(ANOTHER["patient_name"]) == len(PATIENT)
    case = Case(portal, "submit_appeal")
    one = prepared(portals, site, case, {})
    other = prepared(portals, site, case, ANOTHER)
    elsewhere = prepared(portals, site, replace(case, action="submit_reauth_request"), {})
    assert difference(portals.host, one, other) <= NOISE
    assert difference(portals.host, one, elsewhere) > VISIBLE


def test_a_page_is_as_it_was_once_its_picture_has_been_taken(
    portals: BrowserPortals, site: PortalSite
) -> None:
    case = Case("aetna", "submit_appeal")
    flow = case.flow(portals)
    with portals.session(flow.id, credentials=account(site, "aetna")) as visit:
        visit.sign_in()
        visit.prepare(case.fields, case.files(flow))
        assert visit.evidence().screenshot_png
        visit.commit()
        reference = visit.confirm().reference
    assert [(one.reference, one.member_id) for one in case.filed(site)] == [(reference, MEMBER)]


def test_a_trace_is_kept_of_a_failure_and_holds_neither_password_nor_session(
    portals: BrowserPortals, site: PortalSite
) -> None:
    site.faults.on("uhc", "server_error")
    case = Case("uhc", "submit_appeal")
    flow = case.flow(portals)
    with portals.session(flow.id, credentials=account(site, "uhc")) as visit:
        visit.sign_in()
        with pytest.raises(TransientError):
            visit.prepare(case.fields, case.files(flow))
        sessions = list(site.desks["uhc"].sessions)
        trace = unzipped(visit.evidence().trace_zip or b"")
    assert b"/uhc/app/disputes" in trace
    for secret in (PASSWORD, TOTP_SECRET, *sessions):
        assert secret.encode() not in trace


def test_a_password_is_typed_on_the_portals_own_site_alone(portals: BrowserPortals, site: PortalSite) -> None:
    case = Case("aetna", "check_claim_status")
    moved = BrowserPortals(
        portals.host,
        clock=portals._clock,
        windows=portals._codes.windows,
        sites=site.template.replace("127.0.0.1", "localhost"),
        patience=0.1,
    )
    site.desks["aetna"].moved_to = f"http://127.0.0.1:{site.port}"
    try:
        with moved.session(case.flow(moved).id, credentials=Credentials("clinic", PASSWORD)) as visit:
            with pytest.raises(PortalStopError) as caught:
                visit.sign_in()
            names = [(step.name, step.outcome) for step in visit.evidence().steps]
    finally:
        site.desks["aetna"].moved_to = ""
    assert caught.value.code == "unknown_page"
    assert names[-1] == ("fill label=Username", "unknown_page")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("DOE, JANE Q.", "███, ████ Q."),
        ("Janet and the doe-eyed", "Janet and the ███-eyed"),
        ("born 02/03/1980.", "born ██████████."),
        ("id W1234 (w1234)", "id █████ (█████)"),
    ],
)
def test_names_are_painted_over_as_words_and_values_anywhere(text: str, shown: str) -> None:
    assert painted(text, values=["W1234", "02/03/1980", "12"], names=["Jane Doe"]) == shown


def test_nothing_to_hide_changes_nothing() -> None:
    text = "a page of 12 units"
    assert painted(text, values=["12"], names=[]) == text
    assert not re.search("█", text)
