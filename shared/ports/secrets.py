"""Secrets by name."""

from typing import Protocol


class SecretStore(Protocol):
    """Reads secrets, newest version first. Blocks: callers on an event loop go through `shared/runtime/cached.py`."""

    def versions(self, name: str) -> tuple[str, ...]:
        """Return every enabled version, newest first; empty if there is no such secret.

        More than one is a rotation in progress: a signature by any of them is good.

        Raises:
            TransientError: the store did not answer.
        """
        ...
