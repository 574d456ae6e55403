"""The shape of a rule document, by `schemas/rules/rule.schema.json`. Pure."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Final, cast

import fastjsonschema

from shared.rules.reading import invalid

SCHEMA: Final = Path(__file__).resolve().parents[2] / "schemas" / "rules" / "rule.schema.json"


def check_shape(document: object) -> None:
    """Return if the document has the shape of a rule.

    Raises:
        PoisonError: it has not (`invalid_rule`, with the JSON path).
    """
    try:
        _validator()(document)
    except fastjsonschema.JsonSchemaValueException as exc:
        raise invalid(_json_path(exc.path), str(exc.message).removeprefix(f"{exc.name} ")) from exc


@cache
def _validator() -> Callable[[object], object]:
    # use_default would write the schema's defaults into the document that is going to be stored.
    compiled = fastjsonschema.compile(json.loads(SCHEMA.read_text(encoding="utf-8")), use_default=False)
    return cast("Callable[[object], object]", compiled)


def _json_path(steps: Sequence[str]) -> str:
    """Return `$.when.all[0]` for `data`, `when`, `all`, `0`."""
    return "$" + "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in steps[1:])
