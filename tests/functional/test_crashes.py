"""What dies where: the process is really killed at each place, and what is left in the end is as if it had not been.

DESIGN section 11 has a row for each place. One delivery follows the other, and each is done with before the next is
sent, so that even what depends on their order must come out the same.
"""

import asyncio
import dis
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import CodeType

import pytest
from sqlalchemy import Engine, text

from local.postgres import LOCAL_OWNER, OWNER
from local.runtime import LocalRuntime
from local.sample_month import SampleDelivery
from local.soak.deliveries import FIXTURES, REAL_PROVIDER
from local.soak.payer import NO_REPLY, Payers, Sent
from local.soak.state import EndState, differences, read_state
from local.soak.trouble import drained, is_dead, kept_alive
from local.soak.world import Receiver, Senders, Wanted, set_up
from local.threaded import ThreadedRuntime
from shared.adapters.postgres.engine import build_engine
from shared.runtime.crash_points import CRASH_POINTS, armed_by
from shared.runtime.settings import Settings

ROOT = Path(__file__).parents[2]
PRACTICE = "Practice"
ENVELOPE = "ISA*00*          *00*          *ZZ*PAYER          *ZZ*PRACTICE       *261101*1200*^*00501*000000001*0*P*:~"
# What a scene begins with; all other tables hold what deliveries lead to.
RESULTS = text("""
SELECT string_agg(tablename, ', ') FROM pg_tables WHERE schemaname = 'public'
    AND tablename NOT IN ('alembic_version', 'customers', 'automation_rules', 'fee_schedules')
""")

# point, consumer, and whether its sender sees no reply
PLACES = [
    ("ingress.before_claim", "", True),
    ("ingress.after_claim", "", True),
    ("ingress.after_publish", "", True),
    ("ingress.before_settle", "", False),
    ("consumer.in_transaction", "process_webhook", False),
    ("consumer.in_transaction", "apply_rules", False),
    ("consumer.in_transaction", "notify", False),
    ("consumer.in_transaction", "record_dead_letter", False),
    ("consumer.after_commit", "process_webhook", False),
    ("consumer.after_commit", "apply_rules", False),
    ("consumer.after_commit", "notify", False),
    ("consumer.after_commit", "record_dead_letter", False),
    ("consumer.after_publish", "process_webhook", False),
    ("consumer.after_publish", "apply_rules", False),
    ("consumer.after_mark", "process_webhook", False),
    ("consumer.after_mark", "apply_rules", False),
    ("dead_letter.before_publish", "", False),
    ("dead_letter.after_publish", "", False),
    ("notify.after_send", "", False),
]
# Killed between a send and its record, a notification is sent again: the one place where somebody outside sees it.
REPEATS = {("notify.after_send", ""), ("consumer.in_transaction", "notify")}


def advice(trace: str, *claims: tuple[str, str, int, int, str]) -> bytes:
    loops = "".join(
        f"CLP*{number}*{code}*{charge}*{paid}**12*P{number}~NM1*QC*1*SAMPLE*PAT****MI*M1~"
        f"SVC*HC:99213*{charge}*{paid}~DTM*472*20261020~CAS*CO*{reason}*{charge - paid}~"
        for number, code, charge, paid, reason in claims
    )
    total = sum(claim[3] for claim in claims)
    segments = loops.count("~") + 8
    return (
        f"{ENVELOPE}GS*HP*PAYER*PRACTICE*20261101*1200*1*X*005010X221A1~ST*835*0001~"
        f"BPR*I*{total}*C*ACH************20261101~TRN*1*{trace}*1512345678~DTM*405*20261101~"
        f"N1*PR*OAK HEALTH~N1*PE*PRACTICE*XX*9999999995~LX*1~{loops}SE*{segments}*0001~GE*1*1~IEA*1*000000001~"
    ).encode()


def delivery(delivery_id: str, body: bytes, content_type: str = "application/edi-x12") -> SampleDelivery:
    return SampleDelivery(
        practice=PRACTICE,
        provider=REAL_PROVIDER,
        name=delivery_id,
        content_type=content_type,
        format="x12",
        body=body,
        delivery_id=delivery_id,
        at=datetime(2026, 11, 1, tzinfo=UTC),
    )


DENIED = advice("T1", ("C1", "4", 900, 0, "197"), ("C2", "1", 300, 250, "45"), ("C3", "4", 80, 0, "16"))
FORWARDED = DENIED.replace(b"~ST*835*0001~", b"~ST*835*9001~").replace(b"*0001~GE*", b"*9001~GE*")
STORY = [
    delivery("claim", (FIXTURES / "acme" / "claim_submitted.json").read_bytes(), "application/json"),
    delivery("denials", DENIED),
    delivery("denials", DENIED),  # the sender is unsure
    delivery("denials-forwarded", FORWARDED),  # and a clearinghouse sends it too
    delivery("streak", advice("T2", *((f"S{n}", "4", 60, 0, "16") for n in range(3)))),
    delivery("cut-off", DENIED[:400]),
    delivery("corrected", advice("T3", ("C1", "1", 900, 700, "45"))),
]


@dataclass
class Scene:
    """A pipeline with one function process, and what its customer's endpoint was told."""

    threaded: ThreadedRuntime
    receiver: Receiver
    senders: Senders
    engines: dict[str, Engine]
    died: list[int] = field(default_factory=list)

    @property
    def runtime(self) -> LocalRuntime:
        return self.threaded.runtime

    def play(self) -> "Ending":
        self.died = []
        return self.threaded.run(self._play())

    async def _play(self) -> "Ending":
        await asyncio.to_thread(self._forget)
        self.receiver.taken.clear()
        payers = Payers(self.runtime.url, self.senders)
        sent: list[Sent] = []
        async with kept_alive(self.runtime) as died:
            for one in STORY:
                sent.append(await payers.send(one))
                assert await drained(self.runtime, timeout_s=30)
            self.died = list(died)
        await payers.close()
        state = await asyncio.to_thread(read_state, self.engines["operator"], in_order=True)
        return Ending(state, self.receiver.once(), self.receiver.repeats, sent)

    def _forget(self) -> None:
        with self.engines["owner"].begin() as connection:
            connection.execute(text(f"TRUNCATE {connection.execute(RESULTS).scalar_one()} CASCADE"))
        with self.engines["local"].begin() as connection:
            connection.execute(text("TRUNCATE keys, messages"))


@dataclass
class Ending:
    state: EndState
    received: dict[str, str]
    repeats: int
    sent: Sequence[Sent]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    home = tmp_path_factory.mktemp("crashes")
    runtime = LocalRuntime(Settings(home=home), hosts=1, retry_scale=0.005, log_file=home / "functions.log")
    with ThreadedRuntime(runtime) as threaded:
        receiver = Receiver()
        threaded.run(receiver.__aenter__())
        settings = replace(runtime.settings, pool_size=1)
        senders = set_up(settings, [Wanted(PRACTICE, REAL_PROVIDER)], [], receiver.url)
        engines = {
            "operator": build_engine(settings, user="upstream_operator", database=settings.database_name),
            "owner": build_engine(settings, user=OWNER, database=settings.database_name),
            "local": build_engine(settings, user=LOCAL_OWNER, database=settings.local_database_name),
        }
        yield Scene(threaded, receiver, senders, engines)
        for engine in engines.values():
            engine.dispose()
        threaded.run(receiver.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def undisturbed(scene: Scene) -> Ending:
    ending = scene.play()
    assert not scene.died
    assert not ending.state.broken
    return ending


def test_the_undisturbed_story_has_everything_that_can_be_lost_or_doubled(undisturbed: Ending) -> None:
    figures = undisturbed.state.figures
    assert (figures["claims"], figures["payments"], figures["dead letters"]) == (7, 7, 1)
    assert figures["three-denials-in-a-row fired"] >= 1
    assert len(undisturbed.received) >= 2
    assert [sent.statuses for sent in undisturbed.sent] == [[202], [202], [200], [202], [202], [202], [202]]
    assert {len(effects) for effects in undisturbed.state.effects.values()} == {1}


@pytest.mark.parametrize(("point", "consumer", "silent"), PLACES, ids=str)
def test_killed_there_nothing_is_lost_or_doubled(
    scene: Scene,
    undisturbed: Ending,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    consumer: str,
    *,
    silent: bool,
) -> None:
    marker = tmp_path / "fired"
    monkeypatch.setenv("UPSTREAM_CRASH_AT", f"{point}:{consumer}" if consumer else point)
    monkeypatch.setenv("UPSTREAM_CRASH_MARKER", str(marker))
    scene.runtime.restart_host(0)
    [armed] = scene.runtime.host_pids()
    ending = scene.play()
    assert marker.exists()
    assert scene.died == [armed]
    assert is_dead(armed)
    assert not ending.state.broken
    assert differences(undisturbed.state, ending.state) == {}
    assert ending.received == undisturbed.received
    assert ending.repeats == 0 or (point, consumer) in REPEATS
    unanswered = [sent for sent in ending.sent if NO_REPLY in sent.statuses]
    assert bool(unanswered) is silent
    assert [sent.event_id for sent in ending.sent] == [sent.event_id for sent in undisturbed.sent]


def test_every_crash_point_is_tried() -> None:
    """Those of an action are tried by `test_action_crashes`."""
    assert {place[0] for place in PLACES} == {p for p in CRASH_POINTS if not p.startswith("action.")}


def test_a_point_fires_once_at_the_right_time_for_the_right_consumer(tmp_path: Path) -> None:
    script = (
        "from shared.runtime.crash_points import reach\n"
        "reach('consumer.after_mark', 'notify')\n"
        "for n in range(3):\n    print(n, flush=True)\n    reach('consumer.after_mark', 'apply_rules')\n"
    )
    armed = {
        **os.environ,
        "UPSTREAM_CRASH_AT": "consumer.after_mark:apply_rules:2",
        "UPSTREAM_CRASH_MARKER": str(tmp_path / "fired"),
    }

    def run() -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env=armed, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    assert run() == (-signal.SIGKILL, "0\n1\n")
    assert run() == (0, "0\n1\n2\n")


def test_a_point_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such point"):
        armed_by({"UPSTREAM_CRASH_AT": "consumer.nowhere", "UPSTREAM_CRASH_MARKER": str(tmp_path / "fired")})
    assert armed_by({"UPSTREAM_CRASH_AT": "consumer.after_mark"}) == {}


def test_production_compiles_no_crash_point() -> None:
    callers = [path for path in (ROOT / "shared").rglob("*.py") if "reach(" in path.read_text()]
    callers += [path for path in (ROOT / "functions").rglob("*.py") if "reach(" in path.read_text()]
    sites = [path for path in callers if path.name != "crash_points.py"]
    assert len(sites) >= 4
    for path in sites:
        assert "reach" in names(compile(path.read_text(), str(path), "exec", optimize=0))
        assert not {"reach", "crash_points"} & names(compile(path.read_text(), str(path), "exec", optimize=1))


def names(code: CodeType) -> set[str]:
    """Return every name that an instruction of code, or of code within it, refers to."""
    found: set[str] = set()
    for instruction in dis.get_instructions(code):
        if isinstance(instruction.argval, CodeType):
            found |= names(instruction.argval)
        elif isinstance(instruction.argval, str):
            found |= set(instruction.argval.split("."))
    return found
