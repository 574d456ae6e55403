"""Rule files become rules: read, checked for shape and meaning, and for versions that would both act.

The libraries for YAML and for JSON Schema are imported where they are used: what only decides needs neither.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from shared.rules.evaluator import check_versions
from shared.rules.facts import Catalogue
from shared.rules.language import parse_rule
from shared.rules.model import Rule
from shared.rules.reading import invalid
from shared.runtime.errors import UnreadableError

PACKS: Final = Path(__file__).parent / "packs"
SUFFIXES: Final = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule as its file states it. document: what is stored; plain JSON data."""

    path: Path
    document: Mapping[str, object]
    rule: Rule


def load_rule(document: object, declared: Catalogue | None = None) -> Rule:
    """Return the rule of a document that somebody wants to store.

    Raises:
        PoisonError: its shape or its meaning is not a rule's (`invalid_rule`); the text begins with the JSON path.
    """
    from shared.rules.schema import check_shape  # noqa: PLC0415 - see above

    check_shape(document)
    return parse_rule(document, declared)


def read_file(path: Path, declared: Catalogue | None = None) -> tuple[Draft, ...]:
    """Return the versions of one rule: the documents of `<rule id>.yaml` or `.json`.

    Raises:
        PoisonError: not a rule, or another one than the file's name says (`invalid_rule`); names the file.
        OSError: the file cannot be read.
    """
    try:
        return tuple(_draft(path, document, declared) for document in _documents(path))
    except UnreadableError as exc:
        raise invalid(path.name, exc.detail) from exc


def read_pack(directory: Path = PACKS, declared: Catalogue | None = None) -> tuple[Draft, ...]:
    """Return every rule of a folder, by id and version.

    Raises:
        PoisonError: see `read_file`; or two versions of a rule are in effect on the same day.
        OSError: a file cannot be read.
    """
    files = sorted(path for path in directory.iterdir() if path.suffix in SUFFIXES)
    drafts = [draft for path in files for draft in read_file(path, declared)]
    check_versions(draft.rule for draft in drafts)
    return tuple(sorted(drafts, key=lambda draft: (draft.rule.id, draft.rule.version)))


def _documents(path: Path) -> Iterable[object]:
    from shared.rules.documents import from_json, from_yaml  # noqa: PLC0415 - see above

    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise invalid("$", "not UTF-8") from exc
    documents = [from_json(text)] if path.suffix == ".json" else from_yaml(text)
    if not documents:
        raise invalid("$", "holds no rule")
    return documents


def _draft(path: Path, document: object, declared: Catalogue | None) -> Draft:
    rule = load_rule(document, declared)
    if rule.id != path.stem:
        raise invalid("$.id", f"the file's name says {path.stem}")
    return Draft(path, cast("Mapping[str, object]", document), rule)
