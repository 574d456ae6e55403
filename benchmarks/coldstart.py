"""Cold start: importing `main`, and the first request of each function in a fresh process (embedded).

The bytecode is compiled beforehand, as it is in a deployed image. The largest imports are by their own time, summed by
top-level package, in one run of `python -X importtime`.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from benchmarks.payloads import CONNECTION, SECRET, remittance
from benchmarks.report import Figure, arguments, median, report
from benchmarks.targets import Target, apply_starter_rules, embedded
from shared.domain.events import Event, EventType
from shared.runtime.envelope import to_attributes
from shared.runtime.settings import to_environment
from shared.runtime.signatures import sign

ROOT = Path(__file__).parents[1]
LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")


def main() -> None:
    """Measure, print, and write the figures."""
    given = arguments("coldstart", str(__doc__))
    runs = 1 if given.quick else 5
    with embedded() as target:
        apply_starter_rules(target)
        measured = {name: [_start(target, name) for _ in range(runs)] for name in REQUESTS}
    figures = [
        Figure("main.import", median([run["import_ms"] for each in measured.values() for run in each]), "ms")
    ]
    for name, each in measured.items():
        figures.append(
            Figure(f"{name}.first_request", median([run["first_request_ms"] for run in each]), "ms")
        )
        figures.append(
            Figure(f"{name}.second_request", median([run["second_request_ms"] for run in each]), "ms")
        )
    figures += [Figure(f"import.{package}", ms, "ms") for package, ms in _largest_imports(3)]
    report("coldstart", figures, given.json, title="Cold start")


def _start(target: Target, name: str) -> dict[str, float]:
    assert target.runtime is not None  # noqa: S101 - embedded targets have one
    environment = {**os.environ, **to_environment(target.runtime.runtime.settings)}
    command = [sys.executable, "-m", "benchmarks.first_request", name, json.dumps(REQUESTS[name](target))]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)  # noqa: S603
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    if not 200 <= measured["status"] < 300:  # noqa: PLR2004 - the class of success
        raise RuntimeError(f"{name} replied {measured['status']}")
    return measured


def _largest_imports(count: int) -> list[tuple[str, float]]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import main"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    own: Counter[str] = Counter()
    for microseconds, module in LINE.findall(done.stderr):
        own[module.partition(".")[0]] += int(microseconds)
    return [(package, microseconds / 1000) for package, microseconds in own.most_common(count)]


def _delivery(target: Target) -> dict[str, object]:
    body = remittance(int(time.time() * 1000))
    connection = target.connection
    headers = sign(connection.scheme, uuid4().hex, body, SECRET, datetime.now(UTC))
    return {
        "method": "POST",
        "path": f"/v1/webhooks/{connection.provider}/{connection.id}",
        "headers": {**headers, "Content-Type": "application/edi-x12"},
        "body": body.decode(),
    }


def _pushed(target: Target, event_type: EventType, data: bytes) -> dict[str, object]:
    event = Event(
        id=uuid4(),
        type=event_type,
        source="/benchmark",
        subject=f"claims/{uuid4()}",
        time=datetime.now(UTC),
        customer_id=target.connection.customer_id,
        data=data,
        extensions={"connectionid": str(CONNECTION.id), "payloadformat": "auto"},
    )
    return {"method": "POST", "path": "/", "headers": to_attributes(event), "body": data.decode()}


CLAIM = {
    "claim": {
        "id": str(uuid4()), "number": "B1", "payer_id": "alder-health-plan", "charge_cents": 20000, "paid_cents": 0,
        "patient_cents": 0, "procedures": ["99213"], "lines": [],
    },
    "denial": {"carc": "197", "carcs": ["197"], "group": "CO", "amount_cents": 20000, "remarks": []},
}  # fmt: skip
TOLD = {"title": "T", "severity": "info", "channels": [], "text": "", "event_id": str(uuid4()), "facts": {}}

REQUESTS: dict[str, Callable[[Target], dict[str, object]]] = {
    "receive_webhook": _delivery,
    "process_webhook": lambda t: _pushed(t, "webhook.received", remittance(int(time.time() * 1000))),
    "apply_rules": lambda t: _pushed(t, "claim.denied", json.dumps(CLAIM).encode()),
    "notify": lambda t: _pushed(t, "notification.requested", json.dumps(TOLD).encode()),
    "record_dead_letter": lambda t: _pushed(t, "webhook.received", b"ISA"),
}


if __name__ == "__main__":
    main()
