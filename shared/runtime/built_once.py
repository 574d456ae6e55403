"""A part of an object that is built when it is first used, once, whichever thread that is in."""

from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from functools import cached_property as built_once
else:
    _building = RLock()  # one for all: parts need other parts, and are built only once

    class built_once(cached_property):  # noqa: N801 - named as what it is used as
        """`cached_property` as it was before Python 3.12: from then on two threads build two, and one is lost."""

        def __get__(self, instance: Any, owner: type | None = None) -> Any:  # noqa: ANN401 - whatever it builds
            """Return the part, built now if nobody has used it."""
            with _building:
                return super().__get__(instance, owner)


__all__ = ["built_once"]
