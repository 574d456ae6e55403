"""A place where senders leave files: each below a name of its own, which decides the connection."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol


class Stream(Protocol):
    """Bytes that are read once, from the first to the last."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Drop:
    """One file that was left. prefix: below which; names the connection. key: where; may name a patient: for no log.

    label: tells it from others, and nothing else about it.
    """

    prefix: str
    key: str = field(repr=False)
    label: str


class Drops(Protocol):
    """Blocks. All raise TransientError when the place is away."""

    def waiting(self) -> Iterable[Drop]:
        """Return the files that are complete and not taken yet, the oldest first."""
        ...

    def open(self, drop: Drop) -> AbstractContextManager[Stream]:
        """Open a file, to be read once from the first byte to the last."""
        ...

    def taken(self, drop: Drop) -> None:
        """Note that all of it is in: it is not waiting any more."""
        ...

    def refused(self, drop: Drop) -> None:
        """Put it where a person finds it: it cannot be taken as it is."""
        ...
