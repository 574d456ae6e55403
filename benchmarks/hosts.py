"""Function processes to be measured, each on a socket that the benchmark opened.

`empty` is what the framework itself costs; `memory` is `receive_webhook` on ports that keep everything in memory.
"""

import argparse
import asyncio
import socket
from functools import cached_property

import functions_framework.aio
from functions_framework.aio import create_asgi_app_from_module
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.payloads import CONNECTION, SECRET
from local.host import Asgi, build, server
from shared.adapters.memory import (
    InMemoryConnectionRegistry,
    InMemoryIdempotencyStore,
    InMemoryPublisher,
    InMemorySecretStore,
)
from shared.runtime import bootstrap, log
from shared.runtime.settings import Settings


@functions_framework.aio.http
async def empty(request: Request) -> Response:
    """Read the body and reply, as the least that any receiver does."""
    await request.body()
    return Response(status_code=202)


class MemoryApp(bootstrap.App):
    """An app whose ingress touches nothing outside the process."""

    @cached_property
    def keys(self) -> InMemoryIdempotencyStore:
        """Keys in a dict."""
        return InMemoryIdempotencyStore(clock=self.clock)

    @cached_property
    def publisher(self) -> InMemoryPublisher:
        """Messages in a list."""
        return InMemoryPublisher()

    @cached_property
    def registry(self) -> InMemoryConnectionRegistry:
        """The one connection."""
        registry = InMemoryConnectionRegistry()
        registry.put(CONNECTION)
        return registry

    @cached_property
    def secret_store(self) -> InMemorySecretStore:
        """Its secret."""
        return InMemorySecretStore({CONNECTION.secret_name: (SECRET,)})


def application(target: str) -> Asgi:
    """Return the application to be measured."""
    if target == "empty":
        module = __import__("sys").modules[__name__]
        hosted: Asgi = create_asgi_app_from_module("empty", __file__, "http", module, None)  # type: ignore[no-untyped-call]
        return hosted
    settings = Settings()
    log.configure(settings.log_level)
    bootstrap.use(MemoryApp(settings))
    return build()


def main() -> None:
    """Serve until terminated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=["empty", "memory"])
    parser.add_argument("--fd", type=int, required=True)
    given = parser.parse_args()
    running = server(application(given.target))
    listening = socket.socket(fileno=given.fd)
    with asyncio.Runner(loop_factory=running.config.get_loop_factory()) as runner:
        runner.run(running.serve(sockets=[listening]))


if __name__ == "__main__":
    main()
