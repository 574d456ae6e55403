"""How fast deliveries are taken: an empty function, then `receive_webhook` on memory, embedded, and the emulators.

All in one run, interleaved round by round, so that a busy machine slows all of them alike. Closed loop; each request is
a signed one-claim remittance of about one kilobyte with a delivery id of its own.
"""

from collections import defaultdict
from contextlib import ExitStack

import uvloop

from benchmarks.load import Measured, closed_loop
from benchmarks.payloads import remittance
from benchmarks.report import Figure, arguments, median, quantile, report
from benchmarks.targets import Target, embedded, emulators, hosted

CONCURRENCY = (1, 16, 64)


def main() -> None:
    """Measure, print, and write the figures."""
    given = arguments("ingress", str(__doc__))
    rounds, count = (1, 300) if given.quick else (5, 2_000)
    with ExitStack() as stack:
        targets = [stack.enter_context(hosted("empty")), stack.enter_context(hosted("memory"))]
        targets.append(stack.enter_context(embedded(ingress_only=True)))
        targets += stack.enter_context(emulators())
        measured = _measure(targets, rounds, count)
    report("ingress", _figures(measured), given.json, title="Ingress (one function process, two cores)")


def _measure(targets: list[Target], rounds: int, count: int) -> dict[tuple[str, int], list[Measured]]:
    measured: dict[tuple[str, int], list[Measured]] = defaultdict(list)
    for nth in range(rounds + 1):
        for concurrency in CONCURRENCY:
            for target in targets:
                n = count if concurrency > 1 else count // 4
                sent = target.requests([remittance(i) for i in range(n)], content_type="application/edi-x12")
                run = uvloop.run(closed_loop(target.port, sent, concurrency=concurrency))
                if set(run.statuses) != {202}:
                    raise RuntimeError(f"{target.name} replied {run.statuses}")
                if nth:  # the first round warms up
                    measured[target.name, concurrency].append(run)
    return measured


def _figures(measured: dict[tuple[str, int], list[Measured]]) -> list[Figure]:
    figures = []
    for (name, concurrency), runs in measured.items():
        stem = f"{name}.c{concurrency}"
        latencies = [latency * 1000 for run in runs for latency in run.latencies_s]
        figures.append(Figure(f"{stem}.requests", median([run.per_s for run in runs]), "1/s"))
        figures += [
            Figure(f"{stem}.p{share:g}", quantile(latencies, share / 100), "ms") for share in (50, 95, 99)
        ]
    for concurrency in CONCURRENCY:
        memory, empty = (measured[name, concurrency] for name in ("memory", "empty"))
        ratios = [ours.per_s / theirs.per_s for ours, theirs in zip(memory, empty, strict=True)]
        figures.append(Figure(f"memory_to_empty.c{concurrency}", median(ratios), "ratio"))
    return figures


if __name__ == "__main__":
    main()
