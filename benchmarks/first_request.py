"""One function's cold start, alone in its process: import `main`, build its app, answer one request. Prints JSON.

Started by `benchmarks/coldstart.py` once a function, with the settings of a running pipeline in its environment.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import MutableMapping
from typing import Any


def main() -> None:
    """Measure and print `{"import_ms", "first_request_ms", "second_request_ms", "status"}`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("function")
    parser.add_argument("request", help="JSON: method, path, headers, body as text")
    given = parser.parse_args()
    started = time.perf_counter()
    import main as deployed  # noqa: PLC0415 - its import is what is measured

    imported = time.perf_counter()
    from functions_framework.aio import create_asgi_app_from_module  # noqa: PLC0415 - main has imported it

    app = create_asgi_app_from_module(
        given.function, str(deployed.__file__), "http", deployed, deployed.__spec__
    )  # type: ignore[no-untyped-call]
    request = json.loads(given.request)
    with asyncio.Runner() as runner:
        status = runner.run(_call(app, request))
        first = time.perf_counter()
        runner.run(_call(app, request))
        second = time.perf_counter()
    json.dump(
        {
            "import_ms": 1000 * (imported - started),
            "first_request_ms": 1000 * (first - imported),
            "second_request_ms": 1000 * (second - first),
            "status": status,
        },
        sys.stdout,
    )


async def _call(app: Any, request: dict[str, Any]) -> int:  # noqa: ANN401 - an ASGI application
    """Return the status of one request, made without a socket."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": request["body"].encode(), "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request["method"],
        "scheme": "http",
        "path": request["path"],
        "raw_path": request["path"].encode(),
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in request["headers"].items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    return int(sent[0]["status"])


if __name__ == "__main__":
    main()
