"""The first skin: server-rendered pages, labelled fields, a review page before anything is submitted."""

from aiohttp import web

from local.portal_site.desk import NOT_ACCEPTED, Desk, RefusedError, read_form
from local.portal_site.store import Kind

FORMS: dict[str, Kind] = {"precertification": "reauth", "appeals": "appeal"}


def build(desk: Desk) -> web.Application:
    """Return the portal's own application."""
    pages = _Pages(desk)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_get("/", pages.home)
    app.router.add_get("/login", pages.login)
    app.router.add_post("/login", pages.sign_in)
    app.router.add_get("/frame-error", pages.frame_error)
    app.router.add_get("/{form:precertification|appeals}/new", pages.form)
    app.router.add_post("/{form:precertification|appeals}/review", pages.review)
    app.router.add_post("/{form:precertification|appeals}/submit", pages.submit)
    app.router.add_get("/{form:precertification|appeals}/confirmation/{reference}", pages.confirmation)
    app.router.add_get("/{form:precertification|appeals}/history", pages.history)
    app.router.add_get("/authorizations", pages.authorization)
    app.router.add_get("/claims", pages.claim)
    return app


class _Pages:
    """Its pages."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def login(self, request: web.Request) -> web.Response:
        if self._desk.moved_to and request.host not in self._desk.moved_to:
            raise web.HTTPFound(f"{self._desk.moved_to}/aetna/login")
        await self._desk.meet("login")
        return self._desk.page("login", error="", expired="expired" in request.query)

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        texts, _ = await read_form(request)
        try:
            self._desk.check_password(texts.get("username", ""), texts.get("password", ""))
        except RefusedError as refused:
            if refused.fault == "mfa_refused":
                return self._desk.page("code")
            return self._desk.page("login", error=refused.message, expired=False)
        return self._desk.begin(texts["username"])

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

    async def review(self, request: web.Request) -> web.Response:
        session = self._desk.session(request)
        await self._desk.meet("midform", session)
        texts, session.uploads = await read_form(request)
        self._desk.check_csrf(session, texts.pop("csrf", ""))
        session.draft = texts
        form = request.match_info["form"]
        return self._desk.page(
            "review", form=form, csrf=session.csrf, draft=session.draft, uploads=session.uploads
        )

    async def submit(self, request: web.Request) -> web.Response:
        session = self._desk.session(request)
        texts, _ = await read_form(request)
        self._desk.check_csrf(session, texts.get("csrf", ""))
        form = request.match_info["form"]
        if not session.draft:
            raise web.HTTPConflict(text="<h1>409</h1><p>Nothing to submit.</p>", content_type="text/html")
        try:
            reference = await self._desk.file(request, session, FORMS[form], session.draft)
        except RefusedError as refused:
            return self._desk.page("refused", message=refused.message)
        raise web.HTTPSeeOther(f"/aetna/{form}/confirmation/{reference}")

    async def confirmation(self, request: web.Request) -> web.Response:
        self._desk.session(request)
        return self._desk.page("confirmation", reference=request.match_info["reference"])

    async def history(self, request: web.Request) -> web.Response:
        session = self._desk.session(request)
        await self._desk.meet("lookup", session)
        query = request.query.get("reference")
        rows = None
        if query is not None:
            rows = self._desk.search(FORMS[request.match_info["form"]], {"client_reference": query or "-"})
        return self._desk.page("history", form=request.match_info["form"], query=query or "", rows=rows)

    async def authorization(self, request: web.Request) -> web.Response:
        session = self._desk.session(request)
        number = request.query.get("number")
        changed = number is None and await self._desk.meet("form", session) == "changed_dom"
        if number is None:
            return self._desk.page("authorization", number="", asked=False, found=None, changed=changed)
        await self._midform(request)
        found = self._desk.store.authorization("aetna", number.strip())
        return self._desk.page("authorization", number=number, asked=True, found=found, changed=False)

    async def claim(self, request: web.Request) -> web.Response:
        session = self._desk.session(request)
        number = request.query.get("number")
        changed = number is None and await self._desk.meet("form", session) == "changed_dom"
        if number is None:
            return self._desk.page("claim", number="", asked=False, found=None, changed=changed)
        await self._midform(request)
        found = self._desk.store.claim("aetna", number.strip())
        return self._desk.page("claim", number=number, asked=True, found=found, changed=False)

    async def frame_error(self, _: web.Request) -> web.Response:
        return self._desk.page("broken")

    async def _midform(self, request: web.Request) -> None:
        session = self._desk.session(request)
        await self._desk.meet("midform", session)
        if await self._desk.meet("commit", session) == "payer_refused":
            self._desk.instead("refused", message=NOT_ACCEPTED)
