"""HTML from templates. Pure: no I/O but reading our own templates; text is escaped, and a missing value is an error."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final

import jinja2

from shared.domain.money import dollars

TEMPLATES: Final = Path(__file__).parent / "templates"


def render(template: str, values: Mapping[str, object]) -> str:
    """Return a whole HTML document. template: a file's name below `templates/`, without its suffix.

    Raises:
        jinja2.TemplateError: a template of ours is wrong; every one is rendered by a test.
    """
    return _environment().get_template(f"{template}.html.j2").render(values)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"dollars": dollars, "day": _day, "short": _short, "codes": _codes}
    return environment


def _day(value: date | None) -> str:
    """Return a day as American letters write it: November 7, 2026."""
    return "not stated" if value is None else f"{value:%B} {value.day}, {value.year}"


def _short(value: date | None) -> str:
    """Return a day as tables write it: 11/07/2026."""
    return "not stated" if value is None else f"{value:%m/%d/%Y}"


def _codes(values: tuple[str, ...]) -> str:
    return ", ".join(values) if values else "not stated"
