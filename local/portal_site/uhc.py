"""The second skin: a user name, then a password, then a one-time code; forms that a script draws and sends.

Its fields have test ids and no labels worth the name, its drop-down is no `<select>`, and its upload button opens
a file chooser from inside a shadow root.
"""

import time

from aiohttp import web

from local.portal_site.desk import NOT_ACCEPTED, Desk, RefusedError, Session, dollars, read_form, us_date
from local.portal_site.store import Kind

FORMS: dict[str, Kind] = {"prior-auth": "reauth", "disputes": "appeal"}


def build(desk: Desk) -> web.Application:
    """Return the portal's own application."""
    pages = _Pages(desk)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_get("/", pages.home)
    app.router.add_get("/login", pages.login)
    app.router.add_post("/login", pages.username)
    app.router.add_post("/password", pages.password)
    app.router.add_post("/code", pages.code)
    app.router.add_get("/frame-error", pages.frame_error)
    app.router.add_get("/app/{form:prior-auth|disputes}", pages.form)
    app.router.add_get("/app/{form:prior-auth|disputes}/activity", pages.activity)
    app.router.add_get("/app/status/{what:authorization|claim}", pages.status_page)
    app.router.add_post("/api/eligibility", pages.eligibility)
    app.router.add_post("/api/{form:prior-auth|disputes}", pages.submit)
    app.router.add_get("/api/status/{what:authorization|claim}", pages.status)
    app.router.add_get("/api/{form:prior-auth|disputes}", pages.search)
    return app


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def login(self, request: web.Request) -> web.Response:
        await self._desk.meet("login")
        return self._desk.page(
            "login", step="username", error="", username="", expired="expired" in request.query
        )

    async def username(self, request: web.Request) -> web.Response:
        texts, _ = await read_form(request)
        return self._desk.page(
            "login", step="password", error="", username=texts.get("username", ""), expired=False
        )

    async def password(self, request: web.Request) -> web.StreamResponse:
        texts, _ = await read_form(request)
        username = texts.get("username", "")
        try:
            account = self._desk.check_password(username, texts.get("password", ""))
        except RefusedError as refused:
            step = "code" if refused.fault == "mfa_refused" else "password"
            return self._desk.page(
                "login", step=step, error=refused.message, username=username, expired=False
            )
        if account.totp_secret:
            return self._desk.page("login", step="code", error="", username=username, expired=False)
        return self._desk.begin(username)

    async def code(self, request: web.Request) -> web.StreamResponse:
        texts, _ = await read_form(request)
        username = texts.get("username", "")
        account = self._desk.store.account("uhc", username)
        if account is None:
            self._desk.to_sign_in()
        try:
            self._desk.check_code(account, texts.get("code", ""), now_s=time.time())
        except RefusedError as refused:
            return self._desk.page(
                "login", step="code", error=refused.message, username=username, expired=False
            )
        return self._desk.begin(username)

    async def home(self, request: web.Request) -> web.Response:
        session = self._desk.session(request)
        await self._desk.meet("after_login")
        return self._desk.page("home", user=session.username)

    async def form(self, request: web.Request) -> web.Response:
        session = self._desk.session(request)
        fault = await self._desk.meet("form", session)
        form = request.match_info["form"]
        return self._desk.page(
            "form", form=form, kind=FORMS[form], csrf=session.csrf, changed=fault == "changed_dom"
        )

    async def eligibility(self, request: web.Request) -> web.Response:
        session = self._api(request)
        await self._desk.meet("midform", session)
        return web.json_response({"eligible": True})

    async def submit(self, request: web.Request) -> web.Response:
        session = self._api(request)
        texts, session.uploads = await read_form(request)
        try:
            reference = await self._desk.file(request, session, FORMS[request.match_info["form"]], texts)
        except RefusedError as refused:
            return web.json_response({"error": refused.message})
        return web.json_response({"reference": reference})

    async def activity(self, request: web.Request) -> web.Response:
        session = self._desk.session(request)
        await self._desk.meet("lookup", session)
        return self._desk.page("activity", form=request.match_info["form"], csrf=session.csrf)

    async def search(self, request: web.Request) -> web.Response:
        self._api(request)
        query = {"client_reference": request.query.get("reference") or "-"}
        return web.json_response(self._desk.search(FORMS[request.match_info["form"]], query))

    async def status_page(self, request: web.Request) -> web.Response:
        session = self._desk.session(request)
        fault = await self._desk.meet("form", session)
        what = request.match_info["what"]
        return self._desk.page("status", what=what, csrf=session.csrf, changed=fault == "changed_dom")

    async def status(self, request: web.Request) -> web.Response:
        session = self._api(request)
        await self._desk.meet("midform", session)
        if await self._desk.meet("commit", session) == "payer_refused":
            return web.json_response({"error": NOT_ACCEPTED})
        number = request.query.get("number", "").strip()
        if request.match_info["what"] == "authorization":
            return web.json_response(self._authorization(number))
        return web.json_response(self._claim(number))

    async def frame_error(self, _: web.Request) -> web.Response:
        return self._desk.page("broken")

    def _api(self, request: web.Request) -> Session:
        session = self._desk.session(request)
        self._desk.check_csrf(session, request.headers.get("X-CSRF-Token", ""))
        return session

    def _authorization(self, number: str) -> dict[str, str] | None:
        found = self._desk.store.authorization("uhc", number)
        if found is None:
            return None
        return {
            "status": found.status,
            "number": found.new_number,
            "effective": us_date(found.effective_on),
            "expires": us_date(found.expires_on),
            "units": "" if found.units is None else str(found.units),
            "reason": found.reason,
        }

    def _claim(self, number: str) -> dict[str, str] | None:
        found = self._desk.store.claim("uhc", number)
        if found is None:
            return None
        return {
            "status": found.status,
            "number": found.payer_claim_number,
            "paid": dollars(found.paid_cents),
            "decided": us_date(found.decided_on),
            "carc": found.carc,
        }
