"""What is left to be sent when the server is told to end.

uvicorn, done with its requests, ends the process by the very signal that it got: nothing that Python registers for its
exit runs. So the signal is met before uvicorn meets it.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

Handler = Any  # what `signal.getsignal` returns: a function, or one of two constants


def before_ending(send: Sequence[Callable[[], None]]) -> None:
    """Call each of these on SIGTERM, before whoever was to meet it does. For the thread and loop that serve."""
    if not send or threading.current_thread() is not threading.main_thread():
        return
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # nothing is served: the process ends as any other, and Python's exit functions run
        return
    loop.add_signal_handler(signal.SIGTERM, _end, send, signal.getsignal(signal.SIGTERM))


def _end(send: Sequence[Callable[[], None]], server: Handler) -> None:
    """Runs on the loop, between two callbacks: no lock of ours or a library's is held half-way."""
    for one in send:
        one()
    if callable(server):
        server(signal.SIGTERM, None)
        return
    signal.signal(signal.SIGTERM, server)
    os.kill(os.getpid(), signal.SIGTERM)
