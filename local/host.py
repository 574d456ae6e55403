"""Serves every function of `main.py` on one port, each hosted by functions-framework.

`/functions/<name>/…` is one function, as its own deployment would serve it; `/metrics` is what all of them count;
anything else is `receive_webhook`, as the load balancer routes it.
"""

import argparse
import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import uvicorn
from functions_framework.aio import create_asgi_app_from_module
from starlette.requests import Request

from shared.runtime.bootstrap import app as functions_app

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

PREFIX: Final = "/functions/"
METRICS: Final = "/metrics"
DEFAULT: Final = "receive_webhook"


def build() -> Asgi:
    """Return the application. Importing `main` is all it does: functions build what they use at their first request."""
    module = import_module("main")
    source = str(Path(str(module.__file__)))
    hosted: dict[str, Asgi] = {
        name: create_asgi_app_from_module(name, source, "http", module, module.__spec__)  # type: ignore[no-untyped-call]
        for name in module.__all__
    }

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path == METRICS and functions_app().settings.metrics:
            page = await functions_app().metrics.page(Request(scope))
            await page(scope, receive, send)
            return
        if scope["type"] != "http" or not path.startswith(PREFIX):
            await hosted[DEFAULT](scope, receive, send)
            return
        name, _, rest = path.removeprefix(PREFIX).partition("/")
        if name not in hosted:
            await hosted[DEFAULT](scope, receive, send)  # answers not_found
            return
        await hosted[name]({**scope, "path": "/" + rest, "raw_path": ("/" + rest).encode()}, receive, send)

    return route


def server(app: Asgi) -> uvicorn.Server:
    """Return a server with the loop and parser that the deployed functions use, and no access log."""
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", log_level="error", access_log=False, lifespan="off",
        timeout_graceful_shutdown=5, backlog=2048, proxy_headers=False,
    )  # fmt: skip
    return uvicorn.Server(config)


def main() -> None:
    """Serve on a listening socket that the parent process opened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="file descriptor of the listening socket")
    listening = socket.socket(fileno=parser.parse_args().fd)
    running = server(build())
    with asyncio.Runner(loop_factory=running.config.get_loop_factory()) as runner:
        runner.run(_serve(running, listening))


async def _serve(running: uvicorn.Server, listening: socket.socket) -> None:
    """Serve until told to stop, or until the process that started us is gone: nobody else would stop us."""
    watch = asyncio.create_task(_stop_with(os.getppid(), running))
    await running.serve(sockets=[listening])
    watch.cancel()


async def _stop_with(parent: int, running: uvicorn.Server) -> None:
    while os.getppid() == parent:  # noqa: ASYNC110 - the kernel sets no event
        await asyncio.sleep(1)
    running.should_exit = True


if __name__ == "__main__":
    main()
