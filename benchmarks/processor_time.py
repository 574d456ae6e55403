"""Processor time by part of the pipeline: it says what a delivery costs, whoever else uses the machine."""

from collections.abc import Mapping

import psutil

from benchmarks.targets import Target


def spent_s(target: Target) -> Mapping[str, float]:
    """Return the seconds of processor time so far of the functions, PostgreSQL, and this process.

    This process holds the broker and the load generator. A PostgreSQL process that has ended counts in its parent.
    """
    assert target.runtime is not None  # noqa: S101 - embedded targets have one
    runtime = target.runtime.runtime
    return {
        "functions": sum(_total_s(psutil.Process(pid)) for pid in runtime.host_pids()),
        "postgres": _family_s(psutil.Process(runtime.postgres.pid)),
        "broker_and_sender": _total_s(psutil.Process()),
    }


def _total_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _family_s(parent: psutil.Process) -> float:
    times = parent.cpu_times()
    ended = float(times.children_user + times.children_system)
    return _total_s(parent) + ended + sum(_total_s(child) for child in parent.children())
