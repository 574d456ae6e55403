"""What payers require of a claim's codes, as far as `schemas/rules/coding.json` knows, and whether a claim keeps it.

Each check answers None where the reference says nothing about the claim's procedures: unknown is not "in order".
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from shared.domain.claims import ServiceLine

REFERENCE: Final = Path(__file__).resolve().parents[2] / "schemas" / "rules" / "coding.json"


@dataclass(frozen=True, slots=True)
class Codes:
    """A set of procedure codes, as ranges of codes of one length, both ends included."""

    ranges: tuple[tuple[str, str], ...] = ()

    def __contains__(self, code: str) -> bool:
        return any(len(low) == len(code) and low <= code <= high for low, high in self.ranges)


@dataclass(frozen=True, slots=True)
class ModifierRequirement:
    """A line with one of `procedures` needs one of `any_of`; where `beside` is given, only on its day."""

    id: str
    procedures: Codes
    any_of: frozenset[str]
    beside: Codes | None = None


@dataclass(frozen=True, slots=True)
class DiagnosisRequirement:
    """A claim with one of `procedures` needs a diagnosis that begins with one of `any_of`, written without a dot."""

    id: str
    procedures: Codes
    any_of: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuthorizationRequirement:
    """These payers want an authorization for these procedures."""

    id: str
    procedures: Codes
    payer_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Coding:
    """The reference, whole."""

    modifiers: tuple[ModifierRequirement, ...] = ()
    diagnoses: tuple[DiagnosisRequirement, ...] = ()
    authorizations: tuple[AuthorizationRequirement, ...] = ()


@cache
def coding() -> Coding:
    """Return the reference as declared, read from disk once."""
    return read_coding(REFERENCE.read_text(encoding="utf-8"))


def read_coding(text: str) -> Coding:
    """Return the reference from JSON of the form of `schemas/rules/coding.json`, which a test checks."""
    declared = json.loads(text)
    return Coding(
        modifiers=tuple(_modifier(entry) for entry in declared["modifiers"]),
        diagnoses=tuple(
            DiagnosisRequirement(entry["id"], _codes(entry["procedures"]), tuple(entry["any_of"]))
            for entry in declared["diagnoses"]
        ),
        authorizations=tuple(
            AuthorizationRequirement(entry["id"], _codes(entry["procedures"]), frozenset(entry["payer_ids"]))
            for entry in declared["authorizations"]
        ),
    )


def _modifier(entry: Mapping[str, list[str]]) -> ModifierRequirement:
    beside = _codes(entry["beside"]) if "beside" in entry else None
    return ModifierRequirement(
        str(entry["id"]), _codes(entry["procedures"]), frozenset(entry["any_of"]), beside
    )


def _codes(stated: Iterable[str]) -> Codes:
    ends = (text.partition("-") for text in stated)
    return Codes(tuple((low, high or low) for low, _, high in ends))


def missing_required_modifier(lines: Sequence[ServiceLine], reference: Coding | None = None) -> bool | None:
    """Whether a line lacks a modifier that its procedure needs; None if nothing is known of any line's procedure."""
    known = reference or coding()
    return _any_known(
        _lacks(requirement, line, lines)
        for line in lines
        for requirement in known.modifiers
        if line.procedure in requirement.procedures
    )


def _lacks(requirement: ModifierRequirement, line: ServiceLine, lines: Sequence[ServiceLine]) -> bool:
    if requirement.beside is not None and not _beside(requirement.beside, line, lines):
        return False
    return requirement.any_of.isdisjoint(line.modifiers)


def _beside(procedures: Codes, line: ServiceLine, lines: Sequence[ServiceLine]) -> bool:
    return any(other.procedure in procedures and other.service_on == line.service_on for other in lines)


def diagnosis_mismatch(
    lines: Sequence[ServiceLine], diagnoses: Iterable[str], reference: Coding | None = None
) -> bool | None:
    """Whether a procedure comes without a diagnosis it needs; None if nothing is known of any procedure.

    Asked of the whole claim: which line a diagnosis points at is not kept. diagnoses: with or without the dot.
    """
    known = reference or coding()
    stated = [code.replace(".", "") for code in diagnoses]
    return _any_known(
        not any(code.startswith(requirement.any_of) for code in stated)
        for requirement in known.diagnoses
        if any(line.procedure in requirement.procedures for line in lines)
    )


def authorization_missing(
    payer_id: str, lines: Sequence[ServiceLine], authorization_number: str, reference: Coding | None = None
) -> bool | None:
    """Whether the payer wants an authorization that the claim does not name; None if nothing is known of it."""
    if authorization_number.strip():
        return False
    known = reference or coding()
    return _any_known(
        True
        for requirement in known.authorizations
        if payer_id in requirement.payer_ids
        and any(line.procedure in requirement.procedures for line in lines)
    )


def _any_known(findings: Iterable[bool] | Iterator[bool]) -> bool | None:
    """Return whether one is true; None if there is none at all."""
    found = list(findings)
    return any(found) if found else None
