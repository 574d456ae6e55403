"""The migrations are one chain: two that were written at the same time have to be put in an order before they land."""

import re
from pathlib import Path

VERSIONS = Path(__file__).parents[2] / "schemas" / "migrations" / "versions"
NAMED = re.compile(r'^revision = "(\d{4})"\ndown_revision = (?:"(\d{4})"|None)$', re.MULTILINE)


def test_each_migration_follows_the_one_before() -> None:
    before = ""
    for nth, path in enumerate(sorted(VERSIONS.glob("*.py")), start=1):
        named = NAMED.search(path.read_text(encoding="utf-8"))
        assert named, path.name
        assert (named[1], named[2] or "") == (f"{nth:04}", before), path.name
        assert path.name.startswith(named[1])
        before = named[1]
