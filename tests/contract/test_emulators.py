"""The emulators themselves: a clear word where they are missing, nothing left when they end, and a pipeline on them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import requests
from sqlalchemy import text

from local.broker import Faults
from local.emulated import EmulatedRuntime
from local.emulators import Emulators, EmulatorsMissingError, _Emulator
from local.threaded import ThreadedRuntime
from shared.adapters.postgres.engine import build_engine
from shared.ports.connections import Connection
from shared.runtime.bootstrap import App
from shared.runtime.settings import Settings
from shared.runtime.signatures import sign

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "tests" / "fixtures" / "webhooks" / "acme" / "claim_denied.json"
SECRET = "whsec_" + "Q" * 43 + "="
# Answers HTTP on the port of --host-port from a child process, as gcloud's Java children do.
STAND_IN = """#!/bin/sh
for option in "$@"; do case $option in --host-port=*) port=${option##*:} ;; esac; done
%s -m http.server --bind 127.0.0.1 "$port" &
wait
"""


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first place where gcloud is looked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def gcloud(folder: Path, script: str) -> None:
    path = folder / "gcloud"
    path.write_text(script)
    path.chmod(0o755)


def test_without_gcloud_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmulatorsMissingError, match="install the Google Cloud CLI"):
        Emulators().start()


def test_an_emulator_that_does_not_start_is_quoted(bin_folder: Path) -> None:
    gcloud(bin_folder, "#!/bin/sh\necho 'You do not currently have this component installed' >&2\nexit 1\n")
    with pytest.raises(EmulatorsMissingError, match=r"gcloud components install.*do not currently have"):
        Emulators().start()


def test_stopping_ends_the_whole_group(bin_folder: Path, tmp_path: Path) -> None:
    gcloud(bin_folder, STAND_IN % sys.executable)
    emulator = _Emulator([str(bin_folder / "gcloud"), "emulators", "stand-in"], tmp_path)
    emulator.await_answer()
    assert listens(emulator.address)
    emulator.stop()
    assert not listens(emulator.address)


def test_an_emulator_ends_with_a_process_that_is_killed(bin_folder: Path, tmp_path: Path) -> None:
    gcloud(bin_folder, STAND_IN % sys.executable)
    script = (
        "import sys, time; from pathlib import Path; from local.emulators import _Emulator;"
        " emulator = _Emulator([sys.argv[1], 'emulators', 'stand-in'], Path(sys.argv[2]));"
        " emulator.await_answer(); print(emulator.address, flush=True); time.sleep(60)"
    )
    arguments = [sys.executable, "-c", script, str(bin_folder / "gcloud"), str(tmp_path)]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        address = owner.stdout.readline().strip()
        assert listens(address)
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while listens(address) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not listens(address)


def listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.fixture
def emulated(emulators: Emulators, project: str, tmp_path: Path) -> Iterator[tuple[ThreadedRuntime, App]]:
    settings = Settings(home=tmp_path / "home", project_id=project)
    runtime = EmulatedRuntime(
        settings,
        hosts=1,
        emulators=emulators,
        log_file=tmp_path / "functions.log",
        retry_scale=0.1,
        faults=Faults(duplicate=0.2, reorder=0.5),
    )
    with ThreadedRuntime(runtime) as threaded:
        app = App(runtime.settings)
        yield threaded, app
        app.registry.close()  # type: ignore[attr-defined]


@pytest.mark.emulators
def test_the_pipeline_runs_on_the_emulators(emulated: tuple[ThreadedRuntime, App]) -> None:
    threaded, app = emulated
    runtime = threaded.runtime
    assert runtime.settings.runtime == "emulators"
    connection = _connection(app)
    statuses = [_post(runtime.url, connection, f"d-{n}") for n in range(10)]
    assert statuses == [202] * 10
    assert _post(runtime.url, connection, "d-0") == 200
    assert threaded.drained(timeout_s=30)
    assert _taken(app) == {"process_webhook": 10, "apply_rules": 1}
    runtime.restart_host(0)
    assert len(runtime.host_pids()) == 1
    assert os.environ["FIRESTORE_EMULATOR_HOST"]
    assert _ready(f"{runtime.url}/functions/receive_webhook/_health/ready")


def _ready(url: str) -> bool:
    """Return whether a function is ready; a new process may first be busy importing Google's clients."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        answer = requests.get(url, timeout=30)
        if answer.status_code == 200:
            return bool(answer.json()["checks"]["idempotency_store"] == "ok")
    return False


def _connection(app: App) -> Connection:
    connection = Connection(
        id=uuid4(),
        customer_id=uuid4(),
        provider="acme",
        scheme="standard-webhooks",
        secret_name=f"test-{uuid4()}",
    )
    operator = build_engine(app.settings, user="upstream_operator", database=app.settings.database_name)
    with operator.begin() as session:
        session.execute(
            text("INSERT INTO customers (id, name) VALUES (CAST(:id AS uuid), 'Practice')"),
            {"id": str(connection.customer_id)},
        )
    operator.dispose()
    app.secret_store.add_version(connection.secret_name, SECRET)  # type: ignore[attr-defined]
    app.registry.put(connection)
    return connection


def _post(url: str, connection: Connection, delivery_id: str) -> int:
    body = FIXTURE.read_bytes()
    signed = sign(connection.scheme, delivery_id, body, SECRET, datetime.now(UTC))
    answer = requests.post(
        f"{url}/v1/webhooks/acme/{connection.id}",
        data=body,
        headers={**signed, "Content-Type": "application/json"},
        timeout=30,
    )
    return answer.status_code


def _taken(app: App) -> dict[str, int]:
    operator = build_engine(app.settings, user="upstream_operator", database=app.settings.database_name)
    with operator.begin() as session:
        rows = session.execute(text("SELECT consumer, count(*) FROM inbox GROUP BY consumer")).all()
    operator.dispose()
    return {consumer: int(n) for consumer, n in rows}
