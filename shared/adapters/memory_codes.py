"""One-time codes used by this process."""

from threading import Lock


class InMemoryCodeWindows:
    """Windows in a dictionary: enough where one process signs in to an account."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._lock = Lock()

    def take(self, account: str, window: int) -> bool:
        """Return whether the window is the caller's."""
        with self._lock:
            free = self._last.get(account, -1) < window
            if free:
                self._last[account] = window
        return free
