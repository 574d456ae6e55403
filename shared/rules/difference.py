"""What one document of a rule says otherwise than another, field by field. Pure."""

import json
from collections.abc import Iterator, Mapping


def differences(old: object, new: object, place: str = "$") -> Iterator[tuple[str, str, str]]:
    """Yield (place, old, new) for every part that is not the same; an empty text for one that is not there."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys((*old, *new)):
            yield from differences(old.get(name), new.get(name), f"{place}.{name}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for nth, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{place}[{nth}]")
    elif old != new:
        yield place, _said(old), _said(new)


def _said(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)
