"""Ends what a pipeline that was killed left running. Only processes of the folder in question are touched."""

import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

PATIENCE_S = 10


def end_hosts(pids: Sequence[int], *, not_before: float) -> None:
    """End function processes whose parent is gone. not_before: an older process of the same number is not one."""
    for pid in pids:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            if "local.host" in process.cmdline() and process.create_time() >= not_before:
                process.kill()
                _await_end(process)


def end_postgres(home: Path) -> None:
    """End the folder's PostgreSQL at once, as its files are about to be deleted."""
    folder = home.absolute() / "postgres"
    with suppress(FileNotFoundError, ValueError, IndexError, psutil.Error):
        process = psutil.Process(int((folder / "postmaster.pid").read_text().splitlines()[0]))
        if str(folder) in process.cmdline():
            process.send_signal(signal.SIGQUIT)  # PostgreSQL's immediate shutdown
            _await_end(process)


def _await_end(process: psutil.Process) -> None:
    """Return when it has ended, whether or not its parent has taken note."""
    deadline_s = time.monotonic() + PATIENCE_S
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline_s:
        time.sleep(0.02)
