"""Lint's findings as SARIF, which code hosts show beside the lines they are about. Pure.

Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".
"""

from collections.abc import Mapping, Sequence
from typing import Final

from shared.rules.lint import Finding

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def to_sarif(findings: Sequence[tuple[str, int, Finding]], *, version: str) -> Mapping[str, object]:
    """Return a SARIF log. findings: each with the file, as a relative path, and the line it is about."""
    codes = sorted({finding.code for _, _, finding in findings})
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "upstream rules lint",
                        "version": version,
                        "rules": [{"id": code} for code in codes],
                    }
                },
                "results": [_result(*finding) for finding in findings],
            }
        ],
    }


def _result(file: str, line: int, finding: Finding) -> Mapping[str, object]:
    where = {"artifactLocation": {"uri": file}, "region": {"startLine": line}}
    return {
        "ruleId": finding.code,
        "level": finding.severity,
        "message": {"text": f"{finding.place}: {finding.problem}. Suggested: {finding.fix}."},
        "locations": [
            {
                "physicalLocation": where,
                "logicalLocations": [
                    {"fullyQualifiedName": f"{finding.rule_id}/{finding.rule_version}/{finding.place}"}
                ],
            }
        ],
    }
