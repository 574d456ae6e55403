"""What the three portals have in common behind their pages: sessions, CSRF, uploads, faults, filing."""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Final, NoReturn

import jinja2
import pyotp
from aiohttp import web
from aiohttp.web_request import FileField

from local.portal_site.faults import Fault, Stage, Switchboard
from local.portal_site.store import Account, Kind, Store, Upload

TEMPLATES: Final = Path(__file__).parent / "templates"
TOTP_STEP_S: Final = 30
ROWS_OF_TRAVEL: Final = 1  # how many windows a code may be late


@dataclass(slots=True)
class Session:
    """One signed-in browser. draft: what was typed so far, uploads: what was sent so far."""

    id: str
    username: str
    csrf: str
    draft: dict[str, str] = field(default_factory=dict)
    uploads: list[Upload] = field(default_factory=list)


class RefusedError(Exception):
    """A sign-in or a request that the portal does not take. message: as it tells the user."""

    def __init__(self, fault: Fault, message: str) -> None:
        """fault: which of them it looks like."""
        super().__init__(message)
        self.fault, self.message = fault, message


@dataclass(slots=True)
class Desk:
    """One portal's state. indexing_s: how long a submission takes to show in the search. slow_s: how slow slow is.

    moved_to: another site that its sign-in page is sent to, as by whoever has taken the portal's name.
    """

    portal: str
    store: Store
    faults: Switchboard
    indexing_s: float = 0.0
    slow_s: float = 30.0
    sessions: dict[str, Session] = field(default_factory=dict)
    presses: int = 0
    moved_to: str = ""

    @property
    def cookie(self) -> str:
        """The name of its session cookie."""
        return f"{self.portal}_session"

    # Pages

    def page(self, name: str, *, status: int = 200, **context: object) -> web.Response:
        """Return a page of this portal's own look."""
        template = _templates().get_template(f"{self.portal}/{name}.html")
        body = template.render(root=f"/{self.portal}", **context)
        return web.Response(text=body, status=status, content_type="text/html", headers=NO_STORE)

    def instead(self, name: str, **context: str) -> NoReturn:
        """Answer with another page than was asked for, under HTTP 200."""
        response = self.page(name, status=200, **context)
        raise web.HTTPOk(text=response.text, content_type="text/html", headers=NO_STORE)

    async def meet(self, stage: Stage, session: Session | None = None) -> Fault | None:
        """Play the fault that is switched on here; return it where the page itself has to."""
        fault = self.faults.strike(self.portal, stage)
        match fault:
            case "slow":
                await asyncio.sleep(self.slow_s)
            case "server_error":
                raise web.HTTPServiceUnavailable(text="<h1>503</h1>", content_type="text/html")
            case "maintenance" | "captcha" | "interstitial" | "frame_error":
                self.instead(fault)
            case "session_expired":
                if session is not None:
                    self.sessions.pop(session.id, None)
                self.to_sign_in(expired=True)
            case _:
                return fault
        return None

    # Sessions

    def to_sign_in(self, *, expired: bool = False) -> NoReturn:
        """Send the browser to the sign-in page."""
        raise web.HTTPFound(f"/{self.portal}/login{'?expired=1' if expired else ''}")

    def session(self, request: web.Request) -> Session:
        """Return who is signed in; else send to the sign-in page."""
        found = self.sessions.get(request.cookies.get(self.cookie, ""))
        if found is None:
            self.to_sign_in(expired=self.cookie in request.cookies)
        return found

    def begin(self, username: str) -> web.Response:
        """Sign in: send the browser home with a session."""
        response = web.Response(status=303, headers={"Location": f"/{self.portal}/"})
        session = Session(secrets.token_urlsafe(24), username, secrets.token_urlsafe(16))
        self.sessions[session.id] = session
        response.set_cookie(self.cookie, session.id, httponly=True, samesite="Lax", path=f"/{self.portal}")
        return response

    def check_csrf(self, session: Session, token: str) -> None:
        """Return if the form came from our own page."""
        if not hmac.compare_digest(session.csrf, token):
            raise web.HTTPForbidden(
                text="<h1>403</h1><p>This form has expired.</p>", content_type="text/html"
            )

    def check_password(self, username: str, password: str) -> Account:
        """Return the account.

        Raises:
            RefusedError: wrong, or locked.
        """
        account = self.store.account(self.portal, username)
        struck = self.faults.strike(self.portal, "password")
        if (
            account is None
            or (struck is None and self.store.is_locked(account))
            or struck == "account_locked"
        ):
            fault: Fault = "account_locked" if account else "wrong_password"
            raise RefusedError(fault, LOCKED if account else WRONG)
        if struck == "wrong_password" or not hmac.compare_digest(account.password, password):
            self.store.note_failed(account)
            raise RefusedError("wrong_password", WRONG)
        if struck == "mfa_refused" and not account.totp_secret:
            raise RefusedError("mfa_refused", NO_CODE)
        return account

    def check_code(self, account: Account, code: str, *, now_s: float) -> None:
        """Return if the one-time code is good: each is taken once.

        Raises:
            RefusedError: it is wrong, or was used.
        """
        if self.faults.strike(self.portal, "password") == "mfa_refused":
            raise RefusedError("mfa_refused", NO_CODE)
        totp = pyotp.TOTP(account.totp_secret, interval=TOTP_STEP_S)
        now = int(now_s) // TOTP_STEP_S
        for window in range(now, now - 1 - ROWS_OF_TRAVEL, -1):
            if hmac.compare_digest(totp.generate_otp(window), code) and self.store.take_code(account, window):
                return
        raise RefusedError("mfa_refused", NO_CODE)

    # Filing

    async def file(
        self, request: web.Request, session: Session, kind: Kind, fields: Mapping[str, str]
    ) -> str:
        """Take a submission, and return its confirmation number, unless a fault strikes.

        Raises:
            RefusedError: the payer says no; nothing was filed.
        """
        self.presses += 1
        fault = await self.meet("commit", session)
        if fault == "commit_error":
            raise web.HTTPInternalServerError(text="<h1>500</h1>", content_type="text/html")
        if fault == "payer_refused":
            raise RefusedError("payer_refused", NOT_ACCEPTED)
        reference = self.store.file(
            self.portal, kind, username=session.username, fields=fields, files=session.uploads
        )
        session.uploads, session.draft = [], {}
        if fault == "reply_lost" and request.transport is not None:
            request.transport.abort()
        if fault == "slow_commit":
            await asyncio.sleep(self.slow_s)
        return reference

    def search(self, kind: Kind, query: Mapping[str, str]) -> list[dict[str, str]]:
        """Return the rows of the portal's own search."""
        found = self.store.search(
            self.portal,
            kind,
            client_reference=query.get("client_reference", ""),
            subject=query.get("subject", ""),
            indexed_after=timedelta(seconds=self.indexing_s),
        )
        return [
            {
                "reference": filed.reference,
                "client_reference": filed.client_reference,
                "status": filed.status,
                "filed": f"{filed.filed_at:%m/%d/%Y}",
            }
            for filed in found
        ]


NO_STORE: Final = {"Cache-Control": "no-store"}
WRONG: Final = "The username or password you entered is incorrect."
LOCKED: Final = "Your account has been locked. Contact your administrator."
NO_CODE: Final = "The verification code is not valid."
NOT_ACCEPTED: Final = "This request cannot be accepted: the member is not eligible for it."


async def read_form(request: web.Request) -> tuple[dict[str, str], list[Upload]]:
    """Return a form's texts, and its files by what they hash to."""
    texts, files = dict[str, str](), list[Upload]()
    for name, value in (await request.post()).items():
        if isinstance(value, FileField):
            content = value.file.read()
            value.file.close()
            if value.filename:
                digest = hashlib.sha256(content).hexdigest()
                files.append(Upload(name, value.filename, len(content), digest))
        elif isinstance(value, str):
            texts[name] = value.strip()
    return texts, files


def us_date(iso: str) -> str:
    """Return a date as portals write it: month, day, year."""
    return f"{date.fromisoformat(iso):%m/%d/%Y}" if iso else ""


def dollars(cents: int | None) -> str:
    """Return an amount as portals write it."""
    return "" if cents is None else f"${cents / 100:,.2f}"


@cache
def _templates() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    found.filters |= {"us_date": us_date, "dollars": dollars}
    return found
