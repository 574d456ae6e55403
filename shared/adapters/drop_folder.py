"""`Drops` in a folder: `<folder>/<connection id>/<file>`; what is done with moves to `taken/` or `refused/` there."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from shared.ports.drops import Drop
from shared.runtime.errors import TransientError

TAKEN: Final = "taken"
REFUSED: Final = "refused"
SETTLE_S: Final = 5.0  # a file that was written to since may not be complete


class FolderDrops:
    """Files of one folder. Hidden ones, such as those that a copy in progress is called, are not looked at."""

    def __init__(
        self, folder: Path, *, settle_s: float = SETTLE_S, wall_s: Callable[[], float] = time.time
    ) -> None:
        """settle_s: how long a file has to lie untouched. wall_s: the clock of files' times."""
        self._folder = folder
        self._settle_s = settle_s
        self._wall_s = wall_s

    def waiting(self) -> list[Drop]:
        """Return the files that are complete and not taken yet, the oldest first."""
        before = self._wall_s() - self._settle_s
        try:
            found = [
                (path.stat().st_mtime, path)
                for path in self._folder.glob("*/*")
                if path.is_file() and not path.is_symlink() and not path.name.startswith(".")
            ]
        except OSError as exc:
            raise TransientError("unavailable", "the folder cannot be read") from exc
        return [self._drop(path) for written, path in sorted(found) if written <= before]

    @contextmanager
    def open(self, drop: Drop) -> Iterator[BinaryIO]:
        """Open a file."""
        try:
            stream = Path(drop.key).open("rb")  # noqa: SIM115 - closed below
        except OSError as exc:
            raise TransientError("unavailable", f"{drop.label} cannot be read") from exc
        with stream:
            yield stream

    def taken(self, drop: Drop) -> None:
        """Move it to `taken/`."""
        self._move(drop, TAKEN)

    def refused(self, drop: Drop) -> None:
        """Move it to `refused/`."""
        self._move(drop, REFUSED)

    def _drop(self, path: Path) -> Drop:
        name = hashlib.sha256(path.name.encode()).hexdigest()[:12]
        return Drop(prefix=path.parent.name, key=str(path), label=f"{path.parent.name}/{name}")

    def _move(self, drop: Drop, to: str) -> None:
        """Move a file; one of the same name that is there already is kept beside it."""
        path = Path(drop.key)
        place = path.parent / to
        try:
            place.mkdir(mode=0o700, exist_ok=True)
            free = next(
                target for n in range(1_000_000) if not (target := place / _numbered(path.name, n)).exists()
            )
            path.rename(free)
        except OSError as exc:
            raise TransientError("unavailable", f"{drop.label} cannot be moved") from exc


def _numbered(name: str, n: int) -> str:
    return name if n == 0 else f"{name}.{n}"
