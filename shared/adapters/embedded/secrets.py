"""`SecretStore` in files, one a secret, readable by the owner only. Versions are lines, newest first."""

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from shared.runtime.errors import TransientError

NAME = re.compile(
    r"[A-Za-z0-9_-]{1,255}"
)  # Secret Manager's own rule, which also keeps a name inside the folder


class FileSecretStore:
    """Secrets below one folder. For the local runtimes: nothing here is encrypted."""

    def __init__(self, folder: Path) -> None:
        """folder: made when the first secret is written."""
        self._folder = folder

    def versions(self, name: str) -> tuple[str, ...]:
        """Return every version, newest first; empty if there is no such secret."""
        if not NAME.fullmatch(name):
            return ()
        try:
            return tuple(line for line in (self._folder / name).read_text().splitlines() if line)
        except FileNotFoundError:
            return ()
        except OSError as exc:
            raise TransientError("unavailable", f"secrets: {type(exc).__name__}") from exc

    def add_version(self, name: str, value: str, *, keep: int = 2) -> None:
        """Put a new version first and keep that many in all: a rotation keeps the old one good for a while.

        Raises:
            ValueError: a name or value that Secret Manager or this file format could not hold.
        """
        if not NAME.fullmatch(name) or "\n" in value or not value:
            raise ValueError("not a secret's name or value")
        with self._alone(name):
            self._write(name, [value, *self.versions(name)][:keep])

    def ensure(self, name: str, value: str) -> str:
        """Return the newest version; `value`, stored, where there was none. Of several at once, all return the same."""
        with self._alone(name):
            known = self.versions(name)
            if not known:
                self._write(name, [value])
            return known[0] if known else value

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Keep other processes and threads from changing a secret meanwhile."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, name: str, versions: Sequence[str]) -> None:
        target = self._folder / name
        fresh = target.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write("\n".join(versions) + "\n")
        fresh.replace(target)
