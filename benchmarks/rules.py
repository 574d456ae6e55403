"""The rule engine beside others: the same rules and events for all, interleaved, answers checked equal.

Ours is timed from coerced facts to the rules that fire; theirs from a dict to the same. p50 is by the clock on the
wall, p99 by the thread's own, which does not count what else the machine was doing. Every event is new to everyone.
"""

import gc
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from random import Random
from shutil import which
from typing import Any, Final

import psutil

from benchmarks.report import Figure, arguments, median, quantile, report
from benchmarks.rule_load import facts, rule_documents
from benchmarks.rule_peers import PEERS, Peer
from shared.rules.evaluator import RuleSet
from shared.rules.facts import GivenFacts
from shared.rules.indexed import IndexedRules
from shared.rules.language import parse_rule
from shared.rules.model import Rule

ON: Final = date(2026, 2, 3)
TRIGGER: Final = "claim.denied"
SIZES: Final = (10, 100, 1_000, 10_000, 100_000)
NODE_MOST: Final = 1_000
BATCH: Final = 100
PATIENCE_NS: Final = 3e9
HERE: Final = Path(__file__).parent

Facts = Mapping[str, Any]
Ask = Callable[[Facts], Any]  # what it answers is read afterwards


class Timing:
    """What one engine took, in nanoseconds an event."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.own: list[float] = []


def main() -> None:
    """Measure, print, and write the figures."""
    given = arguments("rules", str(__doc__))
    figures: list[Figure] = []
    with installed() as node:
        for size in SIZES[:3] if given.quick else SIZES:
            for figure in _at(size, events=100 if given.quick else 1_000, node=node):
                print(f"{figure.name} {figure.value:,.2f} {figure.unit}", flush=True)
                figures.append(figure)
    if not given.quick:
        figures += _edits(10_000)
        figures += _memory(100_000)
    report("rules", figures, given.json, title="Rules: µs an event, best first by size")


def _at(size: int, *, events: int, node: Path | None) -> Iterator[Figure]:
    random = Random(size)
    documents = rule_documents(random, size)
    started = time.perf_counter()
    rules = [parse_rule(document) for document in documents]
    parsed_s = time.perf_counter() - started
    started = time.perf_counter()
    indexed = IndexedRules(rules)
    yield Figure(f"{size}.ours.compile", (time.perf_counter() - started) / size * 1e6, "µs a rule")
    yield Figure(f"{size}.parse", parsed_s / size * 1e6, "µs a rule")
    conditions = [document["when"] for document in documents]
    engines: dict[str, Ask] = {"ours": lambda event: indexed.matches(TRIGGER, event, ON)}
    engines |= _peers(conditions, size)
    happened = [facts(random) for _ in range(events + BATCH)]
    timings, answers = _play(engines, happened)
    place = {rule.id: nth for nth, rule in enumerate(rules)}
    answers["ours"] = [sorted(place[match.rule.id] for match in found) for found in answers["ours"]]
    _check(answers, happened, rules)
    if node is not None and size <= NODE_MOST:
        timings["json-rules-engine"] = _node(node, conditions, happened[:50], answers["ours"])
    for name, timing in sorted(timings.items(), key=lambda item: median(item[1].wall)):
        yield Figure(f"{size}.{name}.p50", median(timing.wall) / 1000, "µs")
        yield Figure(f"{size}.{name}.p99", quantile(timing.own or timing.wall, 0.99) / 1000, "µs")
    yield Figure(f"{size}.fired", sum(map(len, answers["ours"])) / len(answers["ours"]), "rules an event")


def _peers(conditions: Sequence[Any], size: int) -> Iterator[tuple[str, Ask]]:
    for kind in PEERS:
        if size <= kind.most:
            peer: Peer = kind()
            try:
                peer.load(conditions)
            except ImportError:
                continue
            yield kind.name, peer.matches


def _play(
    engines: Mapping[str, Ask], happened: Sequence[Facts]
) -> tuple[dict[str, Timing], dict[str, list[Any]]]:
    """Put every event to every engine, a hundred in turn; to one that is slow, to as many as it can in a while."""
    timings = {name: Timing() for name in engines}
    answers: dict[str, list[Any]] = {name: [] for name in engines}
    for ask in engines.values():
        _batch(ask, happened[-BATCH:], Timing(), 0)  # warm, and not counted
    overhead_ns = _overhead_ns()
    for at in range(0, len(happened) - BATCH, BATCH):
        for name, ask in engines.items():
            timing = timings[name]
            if len(timing.wall) == at and sum(timing.wall) < PATIENCE_NS:  # not, if it ran out of time
                answers[name] += _batch(ask, happened[at : at + BATCH], timing, overhead_ns)
    return timings, answers


def _batch(ask: Ask, happened: Sequence[Facts], timing: Timing, overhead_ns: float) -> list[Any]:
    answers = []
    began_ns = time.perf_counter_ns()
    for event in happened:
        own, wall = time.thread_time_ns(), time.perf_counter_ns()
        found = ask(event)
        ended = time.perf_counter_ns()
        timing.own.append(max(time.thread_time_ns() - own - overhead_ns, 0))
        timing.wall.append(ended - wall)
        answers.append(found)
        if ended - began_ns > PATIENCE_NS:
            break
    return answers


def _overhead_ns() -> float:
    spans = []
    for _ in range(1000):
        own = time.thread_time_ns()
        time.perf_counter_ns()
        time.perf_counter_ns()
        spans.append(time.thread_time_ns() - own)
    return median(spans)


def _check(answers: Mapping[str, list[list[int]]], happened: Sequence[Facts], rules: Sequence[Rule]) -> None:
    plain = RuleSet(rules)
    place = {rule.id: nth for nth, rule in enumerate(rules)}
    for event, ours in zip(happened[:20], answers["ours"], strict=False):
        decided = plain.evaluate(TRIGGER, GivenFacts(event, ON), ON).decisions
        _same("the plain evaluator", sorted(place[decision.rule_id] for decision in decided), ours)
    for name, found in answers.items():
        for theirs, ours in zip(found, answers["ours"], strict=False):
            _same(name, theirs, ours)


def _same(name: str, theirs: list[int], ours: list[int]) -> None:
    if theirs != ours:
        raise RuntimeError(f"{name} says {theirs[:10]}, ours says {ours[:10]}")


def _node(
    folder: Path, conditions: Sequence[Any], happened: Sequence[Facts], ours: list[list[int]]
) -> Timing:
    asked = json.dumps({"conditions": conditions, "facts": happened})
    command = [which("node") or "node", "rule_peer.mjs"]
    done = subprocess.run(command, cwd=folder, input=asked + "\n", capture_output=True, text=True, check=True)  # noqa: S603
    answered = json.loads(done.stdout)
    for theirs, mine in zip(answered["matches"], ours, strict=False):
        _same("json-rules-engine", theirs, mine)
    timing = Timing()
    timing.wall = answered["ns"]
    return timing


def _edits(size: int) -> Iterator[Figure]:
    random = Random(size)
    rules = [parse_rule(document) for document in rule_documents(random, size)]
    indexed, current = IndexedRules(rules), list(rules)
    changes = [parse_rule(document) for document in rule_documents(random, 200)]
    direct, whole = [], []
    for changed in changes:
        started = time.perf_counter()
        edited = indexed.edited([changed])
        direct.append((time.perf_counter() - started) * 1000)
        current = [changed if rule.id == changed.id else rule for rule in current]
        started = time.perf_counter()
        indexed.changed_to(current)
        whole.append((time.perf_counter() - started) * 1000)
        indexed = edited
    yield Figure(f"{size}.ours.edit.p50", median(direct), "ms")
    yield Figure(f"{size}.ours.edit.worst", max(direct), "ms")
    yield Figure(f"{size}.ours.edit_found_among_all.p50", median(whole), "ms")


def _memory(size: int) -> Iterator[Figure]:
    """Return what the rules and their index take, in a process of their own, after 2,000 events."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        rules_mb, index_mb = pool.apply(_resident_mb, (size,))
    yield Figure(f"{size}.rules.memory", rules_mb, "MB")
    yield Figure(f"{size}.ours.index_memory", index_mb, "MB")


def _resident_mb(size: int) -> tuple[float, float]:
    random = Random(size)
    documents = rule_documents(random, size)  # held: what is freed of them would hide what is taken
    before = _held_mb()
    rules = [parse_rule(document) for document in documents]
    held = _held_mb()
    indexed = IndexedRules(rules)
    for _ in range(2000):
        indexed.matches(TRIGGER, facts(random), ON)
    return held - before, _held_mb() - held


def _held_mb() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 2**20


@contextmanager
def installed() -> Iterator[Path | None]:
    """Install the peers into a temporary folder; yield that of the one for Node, None where there is no Node."""
    with tempfile.TemporaryDirectory() as folder:
        peers = Path(folder) / "python"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--target", str(peers), "-r", str(HERE / "requirements-peers.txt")]
        subprocess.run(command, check=True)  # noqa: S603
        sys.path.append(str(peers))
        npm = which("npm")
        if npm is not None:
            node = Path(folder) / "node"
            node.mkdir()
            (node / "rule_peer.mjs").write_text((HERE / "rule_peer.mjs").read_text())
            install = [npm, "install", "--silent", "--no-audit", "--no-fund", "json-rules-engine@7.3.1"]
            subprocess.run(install, cwd=node, check=True)  # noqa: S603
            yield node
        else:
            yield None
        sys.path.remove(str(peers))


if __name__ == "__main__":
    main()
