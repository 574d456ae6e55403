"""The simulator's switches over HTTP, for whoever runs it in another process. JSON in, JSON out."""

from dataclasses import asdict
from typing import get_args

from aiohttp import web

from local.portal_site.faults import FAULTS, Stage, Switchboard
from local.portal_site.store import Account, AuthorizationFile, ClaimFile, Store


def build(store: Store, faults: Switchboard) -> web.Application:
    """Return the application of the switches."""
    switches = _Switches(store, faults)
    app = web.Application()
    app.router.add_get("/submissions", switches.submissions)
    app.router.add_post("/accounts", switches.account)
    app.router.add_post("/faults", switches.fault)
    app.router.add_delete("/faults", switches.clear)
    app.router.add_post("/{portal}/authorizations/{number}", switches.authorization)
    app.router.add_post("/{portal}/claims/{number}", switches.claim)
    return app


class _Switches:
    def __init__(self, store: Store, faults: Switchboard) -> None:
        self._store, self._faults = store, faults

    async def submissions(self, request: web.Request) -> web.Response:
        found = self._store.submissions(
            request.query.get("portal", ""), client_reference=request.query.get("client_reference", "")
        )
        return web.json_response([asdict(one) | {"filed_at": one.filed_at.isoformat()} for one in found])

    async def account(self, request: web.Request) -> web.Response:
        self._store.put_account(Account(**await request.json()))
        return web.Response(status=204)

    async def fault(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        fault, stage = wanted["fault"], wanted.get("stage")
        if fault not in FAULTS or stage not in {None, *get_args(Stage)}:
            raise web.HTTPBadRequest(text="no such fault or stage")
        self._faults.on(wanted["portal"], fault, times=wanted.get("times"), stage=stage)
        return web.Response(status=204)

    async def clear(self, request: web.Request) -> web.Response:
        self._faults.clear(request.query.get("portal", ""))
        return web.Response(status=204)

    async def authorization(self, request: web.Request) -> web.Response:
        decided = AuthorizationFile(**await request.json())
        self._store.decide_authorization(request.match_info["portal"], request.match_info["number"], decided)
        return web.Response(status=204)

    async def claim(self, request: web.Request) -> web.Response:
        decided = ClaimFile(**await request.json())
        self._store.decide_claim(request.match_info["portal"], request.match_info["number"], decided)
        return web.Response(status=204)
