"""The demo's scene in payers' portals: a denied claim is appealed, and an authorization that ends is renewed.

The portals are the simulator's, the browser is a real Chromium, and everything between is the pipeline's own. Where no
Chromium can be had, the scene is left out and says so.
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import text

from cli.demo.posting import Poster, Reply
from cli.demo.senders import Sender
from cli.output import tell
from cli.pipeline import Pipeline
from cli.seed import add_connection, add_customer
from cli.workspace import Workspace
from local.chromium import ChromiumMissingError, ensure_chromium
from local.portal_site.site import PortalSite, build_site, serve
from local.portal_site.store import Account, AuthorizationFile
from local.sample_month import SampleDelivery
from local.scheduler import LocalScheduler
from shared.adapters.postgres.engine import database_errors
from shared.domain.claims import Authorization, Party, Patient
from shared.domain.ids import authorization_id

PRACTICE: Final = "Lakeside Rehabilitation"
PROVIDER: Final = "lakeside-ehr"
PAYERS: Final = {"aetna": "Aetna", "blue_cross": "Blue Cross"}
RULES: Final = Path(__file__).parent / "rules"
STORED_WITHIN_S: Final = 60.0
POLL_S: Final = 0.05
DELIVERIES: Final = 2
STATED: Final = 2  # a denial and an authorization
LEARNT: Final = 1  # the new authorization, read in the portal
SUBMISSIONS: Final = 2
RUNS: Final = 1  # of jobs, fired for the scene alone
RENEWED_AS: Final = "BCLR40999"

PATIENT: Final = Patient("Robin Example", "W200300400", datetime(1969, 5, 2, tzinfo=UTC).date())
NPI: Final = "9999000042"
STORED: Final = text("SELECT 1 FROM authorizations WHERE id = CAST(:id AS uuid)")


@dataclass(frozen=True, slots=True)
class Stage:
    """What the scene needs. site: None where there is no Chromium; missing: why."""

    site: PortalSite | None
    chromium: str = ""
    missing: str = ""

    @property
    def sites(self) -> str:
        """Where the portals are, as the settings name them."""
        return self.site.template if self.site else ""

    def submissions(self) -> int:
        """Return how many submissions the portals hold."""
        return len(self.site.submissions()) if self.site else 0


@asynccontextmanager
async def set_stage() -> AsyncIterator[Stage]:
    """Have the portals and a browser; without one, an empty stage that says why."""
    try:
        chromium = await asyncio.to_thread(ensure_chromium)
    except ChromiumMissingError as exc:
        tell(f"portal actions will not run: {exc}")
        yield Stage(None, missing=str(exc))
        return
    site = build_site()
    runner = await serve(site)
    try:
        yield Stage(site, chromium)
    finally:
        await runner.cleanup()
        site.store.close()


async def play_scene(stage: Stage, running: Pipeline, workspace: Workspace) -> list[Reply]:
    """Send what starts the scene, and return the replies. Its actions go on by themselves.

    Raises:
        TransientError: the database or the broker is away.
    """
    if stage.site is None:
        return []
    sender = await asyncio.to_thread(_set_up, stage.site, running, workspace)
    replies: list[Reply] = []
    poster = Poster(running.runtime.url, {(PRACTICE, PROVIDER): sender}, _at_once, lambda _: None)
    today = datetime.now(UTC)
    replies += await poster.play(list(_deliveries(today)))
    await _expire(workspace, running, today)
    return replies


async def _at_once() -> None:
    """Wait for nothing between deliveries."""


def _set_up(site: PortalSite, running: Pipeline, workspace: Workspace) -> Sender:
    """Make the practice, its rules, and the accounts by which Upstream signs in for it."""
    from shared.rules.loader import read_pack

    customer = add_customer(workspace, PRACTICE, running.sinks)
    workspace.desk.apply_rules(
        customer.id, [draft.document for draft in read_pack(RULES)], applied_by="upstream demo"
    )
    for portal in PAYERS:
        account = Account(portal, f"lakeside-{portal}", secrets.token_urlsafe(16))
        site.open_account(account)
        held = {"username": account.username, "password": account.password}
        workspace.secrets.add_version(f"{customer.id}-{portal}-portal-credentials", json.dumps(held))
    connection = add_connection(workspace, customer, PROVIDER, "standard-webhooks")
    secret = workspace.app.secret_store.versions(connection.secret_name)[0]
    return Sender(f"/v1/webhooks/{PROVIDER}/{connection.id}", connection.scheme, secret)


def _deliveries(today: datetime) -> Iterator[SampleDelivery]:
    held = _authorization(today)
    service_on = (today - timedelta(days=24)).date().isoformat()
    denied = {
        "type": "claim.decided",
        "claim_number": "LR-20417",
        "payer_claim_number": "EA5512078",
        "payer": {"name": PAYERS["aetna"]},
        "provider": {"name": PRACTICE, "id": NPI},
        "patient": _patient(),
        "decision": "denied",
        "charge": "960.00",
        "paid": "0.00",
        "decided_on": (today - timedelta(days=1)).date().isoformat(),
        "service_on": service_on,
        "lines": [
            {
                "procedure": "97110",
                "charge": "960.00",
                "paid": "0.00",
                "modifiers": ["GP"],
                "adjustments": [{"group": "CO", "carc": "197", "amount": "960.00"}],
            }
        ],
    }
    stated = {
        "type": "authorization.stated",
        "number": held.number,
        "payer": {"name": held.payer.name},
        "patient": _patient(),
        "procedure": held.procedure,
        "status": held.status,
        "effective_on": str(held.effective_on),
        "expires_on": str(held.expires_on),
        "units_authorized": held.units_authorized,
        "units_used": held.units_used,
        "stated_on": str(held.stated_on),
    }
    for name, body in (("a denial", denied), ("an authorization", stated)):
        yield SampleDelivery(
            practice=PRACTICE,
            provider=PROVIDER,
            name=name,
            content_type="application/json",
            format="canonical",
            body=json.dumps(body).encode(),
            delivery_id=f"portal-scene-{name.replace(' ', '-')}",
            at=today,
        )


def _patient() -> dict[str, str]:
    return {"name": PATIENT.name, "member_id": PATIENT.member_id}


def _authorization(today: datetime) -> Authorization:
    return Authorization(
        number="BCLR40077",
        payer=Party(PAYERS["blue_cross"]),
        patient=PATIENT,
        procedure="97140",
        status="active",
        effective_on=(today - timedelta(days=170)).date(),
        expires_on=(today + timedelta(days=10)).date(),
        units_authorized=24,
        units_used=19,
        stated_on=(today - timedelta(days=2)).date(),
    )


def approve(site: PortalSite, now: datetime) -> None:
    """Have the payer approve the renewal, under a new number and with dates of its own."""
    held = _authorization(now)
    assert held.expires_on is not None  # noqa: S101 - for the type: it is stated above
    begins_on = held.expires_on + timedelta(days=1)
    decided = AuthorizationFile(
        "Approved", RENEWED_AS, str(begins_on), str(begins_on + timedelta(days=179)), units=24
    )
    site.decide_authorization("blue_cross", held.number, decided)


async def _expire(workspace: Workspace, running: Pipeline, today: datetime) -> None:
    """Fire the daily job as soon as the authorization is stored, so that the portal takes its time beside the month."""
    customer = await asyncio.to_thread(workspace.customer, PRACTICE)
    key = authorization_id(customer.id, _authorization(today))
    await asyncio.to_thread(_await_stored, workspace, str(key))
    scheduler = LocalScheduler(running.settings.home, running.runtime.url)
    six = today.replace(hour=6, minute=0, second=0, microsecond=0)
    await asyncio.to_thread(scheduler.fire, "check_expiring_authorizations", six)


def _await_stored(workspace: Workspace, authorization: str) -> None:
    deadline_s = time.monotonic() + STORED_WITHIN_S
    while time.monotonic() < deadline_s:
        with database_errors(), workspace.engine.begin() as connection:
            if connection.execute(STORED, {"id": authorization}).scalar_one_or_none() is not None:
                return
        time.sleep(POLL_S)
