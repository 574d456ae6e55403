"""What the canonical events are made of: their schemas, parties, lines, amounts. Pure.

Values were checked against the schema before, so that only what a schema cannot say is left to be wrong.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Final, cast

import fastjsonschema

from shared.domain.claims import Adjustment, Party, Patient, ServiceLine
from shared.domain.money import cents
from shared.formats.json_members import MemberError, each, inside, text, texts
from shared.formats.json_path import shown
from shared.formats.json_text import Json
from shared.runtime.errors import UnreadableError

SCHEMAS: Final = Path(__file__).resolve().parents[2] / "schemas" / "webhooks"


def check_shape(kind: str, event: Json, place: str) -> None:
    """Return if an event is as the schema of its type says.

    Raises:
        UnreadableError: it is not, with the path.
    """
    try:
        _validator(kind)(event)
    except fastjsonschema.JsonSchemaValueException as exc:
        raise UnreadableError(f"breaks the schema's `{exc.rule}`", place=place + _path(exc.path[1:])) from exc


def amount(event: Json, name: str) -> int:
    """Return an amount in cents; 0 where it was left out."""
    return cents(text(event, name) or 0)


def amount_if_given(event: Json, name: str) -> int | None:
    """Return an amount in cents; None where it was left out."""
    return amount(event, name) if name in event else None


def day(event: Json, name: str) -> date | None:
    """Return a date; None where it was left out.

    Raises:
        MemberError: there is no such day, as 30 February.
    """
    value = text(event, name)
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        raise MemberError(
            name, "not a date"
        ) from None  # the cause quotes the text, which may be a birth date


def units(event: Json, name: str) -> int | None:
    """Return a number of units; None where it was left out."""
    value = event.get(name)
    return int(value) if isinstance(value, int | Decimal) else None


def party(event: Json, name: str) -> Party:
    """Return a payer or provider."""
    return inside(event, name, lambda value: Party(text(value, "name"), text(value, "id")))


def patient(value: Json) -> Patient:
    """Return the patient."""
    return Patient(text(value, "name"), text(value, "member_id"), day(value, "born_on"))


def adjustment(value: Json) -> Adjustment:
    """Return one reason."""
    return Adjustment(
        text(value, "group"), text(value, "carc"), amount(value, "amount"), text(value, "quantity")
    )


def line(value: Json) -> ServiceLine:
    """Return one service line."""
    return ServiceLine(
        procedure=text(value, "procedure"),
        charge_cents=amount(value, "charge"),
        paid_cents=amount(value, "paid"),
        allowed_cents=amount_if_given(value, "allowed"),
        modifiers=texts(value, "modifiers"),
        units=text(value, "units"),
        service_on=day(value, "service_on"),
        adjustments=tuple(each(value, "adjustments", adjustment)),
        remarks=texts(value, "remarks"),
    )


def numbered(value: ServiceLine, number: int) -> ServiceLine:
    """Return a line whose reasons know that it is theirs."""
    return replace(value, adjustments=tuple(reason._replace(line=number) for reason in value.adjustments))


@cache
def _validator(kind: str) -> Callable[[Json], object]:
    schema = json.loads((SCHEMAS / f"{kind}.schema.json").read_text(encoding="utf-8"))
    return cast("Callable[[Json], object]", fastjsonschema.compile(schema, use_default=False))


def _path(steps: Sequence[str]) -> str:
    return "".join(f"[{step}]" if step.isdigit() else f".{shown(step)}" for step in steps)
