"""A practice's own table of authorizations, as CSV. Pure: bytes in, records and what is wrong with which cell out.

All problems are found in one pass, so that a table is put right once; where there is one, there are no records.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from shared.domain.claims import Authorization, Party, Patient

REQUIRED: Final = ("payer", "number", "procedure", "expires_on")
OPTIONAL: Final = (
    "member_id", "patient_name", "born_on", "status", "effective_on", "units_authorized", "units_used", "stated_on",
)  # fmt: skip
STATUSES: Final = ("active", "denied", "pended")
MAX_TEXT: Final = 200
MAX_UNITS: Final = 1_000_000
MAX_ROWS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a cell. row: as a spreadsheet counts, the header being 1. Never quotes what the cell holds."""

    row: int
    column: str
    problem: str


@dataclass(frozen=True, slots=True)
class AuthorizationTable:
    """records: empty where there are problems."""

    records: tuple[Authorization, ...]
    problems: tuple[Problem, ...]


class _Row:
    """One row's cells, read one by one; what is wrong with each is noted."""

    def __init__(self, number: int, cells: Mapping[str, str], problems: list[Problem]) -> None:
        self._number = number
        self._cells = cells
        self._problems = problems

    def complain(self, column: str, problem: str) -> None:
        self._problems.append(Problem(self._number, column, problem))

    def text(self, column: str) -> str:
        value = self._cells.get(column, "").strip()
        if column in REQUIRED and not value:
            self.complain(column, "is missing")
        if len(value) > MAX_TEXT or not value.isprintable():
            self.complain(column, f"is no text of at most {MAX_TEXT} characters")
        return value

    def day(self, column: str) -> date | None:
        value = self.text(column)
        try:
            found = date.fromisoformat(value) if value else None
        except ValueError:
            found = None
        if value and (found is None or found.isoformat() != value):
            self.complain(column, "is no date, YYYY-MM-DD")
            return None
        return found

    def units(self, column: str) -> int | None:
        value = self.text(column)
        if not value:
            return None
        if (
            not value.isascii()
            or not value.isdigit()
            or int(value[:9]) > MAX_UNITS
            or len(value) > len(str(MAX_UNITS))
        ):
            self.complain(column, f"is no whole number up to {MAX_UNITS:,}")
            return None
        return int(value)


def read_authorizations(
    body: bytes, *, on: date, seen: Callable[[], None] = lambda: None
) -> AuthorizationTable:
    """Return the authorizations of a CSV file with a header line. on: when rows are stated that do not say.

    seen: called for each row.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = body[: exc.start].count(b"\n") + 1
        return AuthorizationTable((), (Problem(line, "", "is not UTF-8"),))
    problems: list[Problem] = []
    records: list[Authorization] = []
    places: dict[tuple[str, str, str], int] = {}
    try:
        for row, cells in _rows(text, problems):
            record = _record(_Row(row, cells, problems), on)
            key = (record.payer.key, record.number, record.procedure)
            if all(key) and places.setdefault(key, row) != row:
                problems.append(
                    Problem(row, "number", f"is in row {places[key]} already, for the same service")
                )
            records.append(record)
            seen()
    except csv.Error:
        problems.append(Problem(len(records) + 2, "", "is no CSV: a quotation mark is left open"))
    if not records and not problems:
        problems.append(Problem(1, "", "no rows follow the header"))
    return AuthorizationTable(() if problems else tuple(records), tuple(problems))


def _rows(text: str, problems: list[Problem]) -> Iterator[tuple[int, Mapping[str, str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = [name.strip().lower().replace(" ", "_") for name in next(reader, [])]
    wrong = [Problem(1, name, "is a required column") for name in REQUIRED if name not in header]
    wrong += [
        Problem(1, name, "is no column that we know") for name in header if name not in REQUIRED + OPTIONAL
    ]
    wrong += [Problem(1, name, "is there twice") for name in dict.fromkeys(header) if header.count(name) > 1]
    problems += wrong
    if wrong:
        return
    for cells in reader:
        row = reader.line_num
        if len(problems) > MAX_ROWS or row > MAX_ROWS:
            problems.append(Problem(row, "", f"is over {MAX_ROWS:,} rows: split the file"))
            return
        if any(cell.strip() for cell in cells):
            if len(cells) != len(header):
                problems.append(Problem(row, "", f"has {len(cells)} cells; the header has {len(header)}"))
            yield row, dict(zip(header, cells, strict=False))


def _record(row: _Row, on: date) -> Authorization:
    status = row.text("status") or "active"
    if status not in STATUSES:
        row.complain("status", f"is none of {', '.join(STATUSES)}")
    effective_on, expires_on = row.day("effective_on"), row.day("expires_on")
    if effective_on is not None and expires_on is not None and expires_on < effective_on:
        row.complain("expires_on", "is before effective_on")
    payer = Party(row.text("payer"))
    if payer.name and not payer.key:
        row.complain("payer", "has neither letters nor digits")
    return Authorization(
        number=row.text("number"),
        payer=payer,
        patient=Patient(row.text("patient_name"), row.text("member_id"), row.day("born_on")),
        procedure=row.text("procedure"),
        status=status,
        effective_on=effective_on,
        expires_on=expires_on,
        units_authorized=row.units("units_authorized"),
        units_used=row.units("units_used"),
        stated_on=row.day("stated_on") or on,
    )
