"""The third skin: a desk with a work frame and a frame for files inside it, and a dialog before anything is filed.

Its forms have placeholders and no field for a reference of ours, and its errors come inside a frame under HTTP 200.
"""

from aiohttp import web

from local.portal_site.desk import NOT_ACCEPTED, Desk, RefusedError, read_form
from local.portal_site.store import Kind

FORMS: dict[str, Kind] = {"extension": "reauth", "reconsideration": "appeal"}


def build(desk: Desk) -> web.Application:
    """Return the portal's own application."""
    pages = _Pages(desk)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_get("/", pages.desk)
    app.router.add_get("/login", pages.login)
    app.router.add_post("/login", pages.sign_in)
    app.router.add_get("/frame-error", pages.frame_error)
    app.router.add_get("/work/menu", pages.menu)
    app.router.add_get("/work/{form:extension|reconsideration}", pages.form)
    app.router.add_post("/work/{form:extension|reconsideration}", pages.submit)
    app.router.add_get("/work/files", pages.files)
    app.router.add_post("/work/files", pages.receive)
    app.router.add_get("/work/{form:extension|reconsideration}/list", pages.listing)
    app.router.add_get("/work/inquiry/{what:authorization|claim}", pages.inquiry)
    app.router.add_post("/work/inquiry/{what:authorization|claim}", pages.answer)
    return app


class _Pages:
    """Its pages."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def login(self, request: web.Request) -> web.Response:
        await self._desk.meet("login")
        return self._desk.page("login", error="", code=False, expired="expired" in request.query)

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        texts, _ = await read_form(request)
        try:
            self._desk.check_password(texts.get("user", ""), texts.get("pass", ""))
        except RefusedError as refused:
            return self._desk.page(
                "login", error=refused.message, code=refused.fault == "mfa_refused", expired=False
            )
        return self._desk.begin(texts["user"])

    async def desk(self, request: web.Request) -> web.Response:
        self._desk.session(request)
        await self._desk.meet("after_login")
        return self._desk.page("desk")

    async def menu(self, request: web.Request) -> web.Response:
        session = self._desk.session(request)
        return self._desk.page("menu", user=session.username)

    async def form(self, request: web.Request) -> web.Response:
        session = self._desk.session(request)
        fault = await self._desk.meet("form", session)
        form = request.match_info["form"]
        session.uploads = []
        return self._desk.page(
            "form", form=form, kind=FORMS[form], csrf=session.csrf, changed=fault == "changed_dom"
        )

    async def files(self, request: web.Request) -> web.Response:
        session = self._desk.session(request)
        return self._desk.page("files", csrf=session.csrf, uploads=session.uploads)

    async def receive(self, request: web.Request) -> web.Response:
        session = self._desk.session(request)
        await self._desk.meet("midform", session)
        texts, files = await read_form(request)
        self._desk.check_csrf(session, texts.get("csrf", ""))
        session.uploads += files
        return self._desk.page("files", csrf=session.csrf, uploads=session.uploads)

    async def submit(self, request: web.Request) -> web.Response:
        session = self._desk.session(request)
        texts, _ = await read_form(request)
        self._desk.check_csrf(session, texts.pop("csrf", ""))
        try:
            reference = await self._desk.file(request, session, FORMS[request.match_info["form"]], texts)
        except RefusedError as refused:
            return self._desk.page("refused", message=refused.message)
        return self._desk.page("done", reference=reference)

    async def listing(self, request: web.Request) -> web.Response:
        session = self._desk.session(request)
        await self._desk.meet("lookup", session)
        number = request.query.get("number")
        rows = None
        if number is not None:
            query = {"subject": number.strip() or "-"}
            rows = self._desk.search(FORMS[request.match_info["form"]], query)
        return self._desk.page("list", form=request.match_info["form"], rows=rows)

    async def inquiry(self, request: web.Request) -> web.Response:
        session = self._desk.session(request)
        fault = await self._desk.meet("form", session)
        what = request.match_info["what"]
        return self._desk.page("inquiry", what=what, csrf=session.csrf, changed=fault == "changed_dom")

    async def answer(self, request: web.Request) -> web.Response:
        session = self._desk.session(request)
        await self._desk.meet("midform", session)
        texts, _ = await read_form(request)
        self._desk.check_csrf(session, texts.get("csrf", ""))
        if await self._desk.meet("commit", session) == "payer_refused":
            return self._desk.page("refused", message=NOT_ACCEPTED)
        what, number = request.match_info["what"], texts.get("number", "")
        store = self._desk.store
        if what == "authorization":
            return self._desk.page("authorization", found=store.authorization("blue_cross", number))
        return self._desk.page("claim", found=store.claim("blue_cross", number))

    async def frame_error(self, _: web.Request) -> web.Response:
        return self._desk.page("broken")
