"""Members of JSON objects as values, or an error that knows its path. Pure: no I/O.

Every accessor takes the object and the name of its member, returns an empty value where that was left out, and raises
`MemberError` where it is there and of the wrong kind. The path is put together while that travels up, and costs nothing
where all is well.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeVar

from shared.formats.json_text import Json

T = TypeVar("T")

MAX_TEXT: Final = 1000


class MemberError(Exception):
    """A member that cannot mean what it should. Readers turn it into an UnreadableError at the root of what they read.

    path: from where it was raised, such as `total.value`.
    """

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(path)
        self.path = path
        self.detail = detail

    def within(self, parent: str) -> "MemberError":
        """Return the same error as seen from one level up."""
        return MemberError(f"{parent}.{self.path}", self.detail)


def text(parent: Json, name: str) -> str:
    """Return a string. A number is taken as written, for ids that come as either."""
    value = parent.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise MemberError(name, "not text")
        value = str(value)
    if len(value) > MAX_TEXT:
        raise MemberError(name, "longer than any real one")
    return value.strip()


def child(parent: Json, name: str) -> Json:
    """Return an object."""
    value = parent.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MemberError(name, "not an object")
    return value


def children(parent: Json, name: str) -> list[Json]:
    """Return a list of objects."""
    value = parent.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise MemberError(name, "not a list")
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise MemberError(f"{name}[{index}]", "not an object")
    return value


def texts(parent: Json, name: str) -> tuple[str, ...]:
    """Return a list of strings."""
    value = parent.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise MemberError(name, "not a list")
    return tuple(text({f"{name}[{index}]": item}, f"{name}[{index}]") for index, item in enumerate(value))


def each(parent: Json, name: str, read: Callable[[Json], T]) -> list[T]:
    """Return what `read` makes of each object in a list. Its errors get their path here."""
    values = []
    for index, item in enumerate(children(parent, name)):
        try:
            values.append(read(item))
        except MemberError as exc:
            raise exc.within(f"{name}[{index}]") from exc
    return values


def inside(parent: Json, name: str, read: Callable[[Json], T]) -> T:
    """Return what `read` makes of an object. Its errors get their path here."""
    value = child(parent, name)
    try:
        return read(value)
    except MemberError as exc:
        raise exc.within(name) from exc
