"""What the benchmarks measure: running servers, with connections to send to, that end with the benchmark."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal
from uuid import uuid4

import requests
from sqlalchemy import text

from benchmarks.load import request
from benchmarks.payloads import CONNECTION, SECRET
from local.emulated import EmulatedRuntime
from local.runtime import LocalRuntime, listen
from local.threaded import ThreadedRuntime
from shared.adapters.embedded.secrets import FileSecretStore
from shared.ports.connections import Connection
from shared.rules.documents import from_yaml
from shared.rules.loader import PACKS
from shared.runtime.bootstrap import App
from shared.runtime.settings import Settings
from shared.runtime.signatures import sign

ADD_RULE = text("""
INSERT INTO automation_rules (customer_id, rule_id, version, document, applied_by)
SELECT CAST(:customer AS uuid), d ->> 'id', CAST(d ->> 'version' AS integer), d, 'benchmark'
FROM (SELECT CAST(:document AS jsonb) AS d) given
""")
BUMP = text("UPDATE customers SET rules_version = rules_version + 1 WHERE id = CAST(:customer AS uuid)")
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Target:
    """A server on loopback. runtime: None for those that keep nothing."""

    name: str
    port: int
    connection: Connection = CONNECTION
    runtime: ThreadedRuntime | None = None

    def requests(self, bodies: Sequence[bytes], *, content_type: str) -> list[bytes]:
        """Return one signed request a body, each with a delivery id of its own."""
        path = f"/v1/webhooks/{self.connection.provider}/{self.connection.id}"
        now = datetime.now(UTC)
        return [
            request(
                path,
                body,
                {
                    **sign(self.connection.scheme, uuid4().hex, body, SECRET, now),
                    "Content-Type": content_type,
                },
            )
            for body in bodies
        ]


@contextmanager
def hosted(name: Literal["empty", "memory"]) -> Iterator[Target]:
    """Serve one of `benchmarks/hosts.py` in a process of its own."""
    with listen(0) as listening:
        port = listening.getsockname()[1]
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "benchmarks.hosts", name, "--fd", str(listening.fileno())],
            cwd=ROOT,
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/_health/live")
            yield Target(name, port)
        finally:
            process.terminate()
            process.wait(timeout=10)


@contextmanager
def embedded(*, hosts: int = 1, ingress_only: bool = False) -> Iterator[Target]:
    """Serve the embedded pipeline. ingress_only: nobody takes the messages, so that only taking them in is measured."""
    kind = _EmbeddedIngress if ingress_only else LocalRuntime
    with _served(kind, "embedded", hosts) as target:
        yield target


@contextmanager
def emulators() -> Iterator[list[Target]]:
    """Serve ingress on Google's emulators; an empty list where they are not installed, unless CI requires them."""
    if shutil.which("gcloud") is None:
        if os.environ.get("CI") == "true":
            raise RuntimeError("Google's emulators are not installed")
        yield []
        return
    with _served(_EmulatedIngress, "emulators", 1) as target:
        yield [target]


class _EmbeddedIngress(LocalRuntime):
    async def _start_broker(self, stack: AsyncExitStack) -> None:
        """Leave the messages where they are."""


class _EmulatedIngress(EmulatedRuntime):
    async def _start_broker(self, stack: AsyncExitStack) -> None:
        """Leave the messages where they are."""


@contextmanager
def _served(kind: type[LocalRuntime], name: str, hosts: int) -> Iterator[Target]:
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="upstream-bench-")))
        runtime = kind(Settings(home=home), hosts=hosts, log_file=home / "functions.log")
        yield _with_connection(name, stack.enter_context(ThreadedRuntime(runtime)))


def _with_connection(name: str, threaded: ThreadedRuntime) -> Target:
    settings = threaded.runtime.settings
    app = App(settings)
    customer_id = uuid4()
    with App(replace(settings, database_user="upstream_operator")).engine.begin() as session:
        session.exec_driver_sql(f"INSERT INTO customers (id, name) VALUES ('{customer_id}', 'Benchmark')")  # noqa: S608
    connection = replace(CONNECTION, id=uuid4(), customer_id=customer_id)
    FileSecretStore(settings.home / "secrets").add_version(connection.secret_name, SECRET)
    app.registry.put(connection)
    port = int(threaded.runtime.url.rsplit(":", 1)[1])
    return Target(name, port, connection, threaded)


def apply_starter_rules(target: Target) -> None:
    """Give the target's customer the five starter rules."""
    assert target.runtime is not None  # noqa: S101 - only a running pipeline has rules
    settings = replace(target.runtime.runtime.settings, database_user="upstream_operator")
    customer = {"customer": str(target.connection.customer_id)}
    with App(settings).engine.begin() as session:
        for path in sorted(PACKS.glob("*.yaml")):
            document = from_yaml(path.read_text())[0]
            session.execute(ADD_RULE, {**customer, "document": json.dumps(document)})
        session.execute(BUMP, customer)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if requests.get(url, timeout=2).ok or url.endswith("/live"):
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer")
