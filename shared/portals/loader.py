"""Flows out of their files: each file is a stream of YAML documents, a version each, none of which ever changes.

`flows/<portal>/portal.yaml` holds what a portal's flows share, `flows/<portal>/<action>.yaml` how an action is done.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, cast, get_args

import fastjsonschema
import yaml

from shared.portals import language as lang
from shared.ports.portal import PortalAction
from shared.runtime.errors import PoisonError

FLOWS: Final = Path(__file__).parent / "flows"
SCHEMA: Final = Path(__file__).resolve().parents[2] / "schemas" / "portals" / "flow.schema.json"
ACTIONS: Final[tuple[PortalAction, ...]] = get_args(PortalAction)

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Version:
    """One document of a file. name: as the lock knows it, such as `aetna/submit_appeal@1`."""

    name: str
    document: Document

    @property
    def sha256(self) -> str:
        """What the document says, whatever its comments and layout."""
        return hashlib.sha256(json.dumps(self.document, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Book:
    """Every version of every flow of a folder."""

    flows: tuple[lang.FlowSpec, ...]
    versions: tuple[Version, ...]


def read_book(folder: Path = FLOWS) -> Book:
    """Return the flows of a folder of portals.

    Raises:
        PoisonError: `invalid_flow`; the text names file, version and JSON path.
    """
    flows: list[lang.FlowSpec] = []
    versions: list[Version] = []
    for home in sorted(path.parent for path in folder.glob("*/portal.yaml")):
        portals = dict[int, lang.PortalSpec]()
        for version in read_versions(home / "portal.yaml", "portal"):
            spec = _portal(home.name, version.document)
            portals[spec.version] = spec
            versions.append(version)
        for path in sorted(home.glob("*.yaml")):
            if path.stem == "portal":
                continue
            for version in read_versions(path, "flow"):
                flows.append(_flow(version, portals, path))
                versions.append(version)
    return Book(tuple(flows), tuple(versions))


def read_versions(path: Path, kind: str) -> Sequence[Version]:
    """Return a file's documents, each of the right shape and each version once. kind: `flow` or `portal`."""
    place = f"{path.parent.name}/{path.name}"
    try:
        documents = list(yaml.load_all(path.read_text(encoding="utf-8"), _OnceLoader))
    except yaml.YAMLError as exc:
        raise invalid(place, str(getattr(exc, "problem", None) or "not YAML")) from exc
    found: dict[str, Version] = {}
    for document in documents:
        _check_shape(document, kind, place)
        name = f"{path.parent.name}/{path.stem}@{document['version']}"
        if name in found:
            raise invalid(name, "a version comes twice")
        found[name] = Version(name, document)
    return tuple(found.values())


def invalid(place: str, problem: str) -> PoisonError:
    """Return the error of a flow that does not hold."""
    return PoisonError("invalid_flow", f"{place}: {problem}")


class _OnceLoader(yaml.SafeLoader):
    """YAML in which no key comes twice. What it takes for a date or a truth value, the schema then refuses."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        keys = [key.value for key, _ in node.value]
        if len(keys) != len(set(keys)):
            raise yaml.constructor.ConstructorError(None, None, "a key comes twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def _check_shape(document: object, kind: str, place: str) -> None:
    try:
        _validator(kind)(document)
    except fastjsonschema.JsonSchemaValueException as exc:
        raise invalid(f"{place}: {exc.name}", str(exc.message).removeprefix(f"{exc.name} ")) from exc


@cache
def _validator(kind: str) -> Callable[[object], object]:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8")) | {"$ref": f"#/definitions/{kind}"}
    return cast("Callable[[object], object]", fastjsonschema.compile(schema, use_default=False))


def _portal(portal: str, raw: Document) -> lang.PortalSpec:
    optional = {name: float(raw[name]) for name in ("step_s", "commit_s") if name in raw}
    return lang.PortalSpec(
        portal=portal,
        version=raw["version"],
        payer_keys=frozenset(raw["payer_keys"]),
        site=raw["site"].rstrip("/"),
        sign_in=_steps(raw["sign_in"]),
        detect=tuple(lang.Detector(_target(one["see"]), one["means"]) for one in raw["detect"]),
        mask=tuple(_target(one) for one in raw.get("mask", ())),
        **optional,
    )


def _flow(version: Version, portals: Mapping[int, lang.PortalSpec], path: Path) -> lang.FlowSpec:
    raw, action = version.document, path.stem
    if action not in ACTIONS:
        raise invalid(version.name, f"no such action; there are {', '.join(ACTIONS)}")
    portal = portals.get(raw["portal"])
    if portal is None:
        raise invalid(version.name, f"portal.yaml has no version {raw['portal']}")
    return lang.FlowSpec(
        portal=portal,
        action=action,
        version=raw["version"],
        steps=_steps(raw["steps"]),
        echoes_reference=raw.get("echoes_reference", False),
        visible_after_s=float(raw.get("visible_after_s", 0)),
        lookup=_lookup(raw["lookup"]) if "lookup" in raw else None,
    )


def _lookup(raw: Document) -> lang.LookupSpec:
    return lang.LookupSpec(
        steps=_steps(raw["steps"]),
        rows=_target(raw["rows"]),
        reference=_target(raw["reference"]),
        client_reference=_target(raw["client_reference"]) if "client_reference" in raw else None,
        status=_target(raw["status"]) if "status" in raw else None,
    )


def _steps(raw: Sequence[Document]) -> tuple[lang.StepSpec, ...]:
    return tuple(_step(one) for one in raw)


def _step(raw: Document) -> lang.StepSpec:
    step: lang.StepSpec
    optional = bool(raw.get("optional", False))
    match raw:
        case {"goto": path}:
            step = lang.Goto(path)
        case {"fill": at}:
            step = lang.Fill(
                _target(at),
                source=raw.get("field", ""),
                secret=raw.get("secret"),
                hook=raw.get("hook"),
                form=raw.get("format"),
                optional=optional,
            )
        case {"choose": at}:
            step = lang.Choose(
                _target(at), raw["field"], raw["values"], hook=raw.get("hook"), optional=optional
            )
        case {"upload": at}:
            step = lang.Upload(_target(at), raw["file"], hook=raw.get("hook"), optional=optional)
        case {"click": at}:
            step = lang.Click(
                _target(at), commit=raw.get("commit", False), with_file=raw.get("with_file", "")
            )
        case {"expect": at}:
            step = lang.Expect(
                _target(at),
                _target(raw["absent"]) if "absent" in raw else None,
                with_file=raw.get("with_file", ""),
            )
        case _:
            step = lang.Extract(
                _target(raw["extract"]), raw["into"], conversion=raw.get("as"), values=raw.get("values", {})
            )
    return step


def _target(raw: Document) -> lang.Target:
    kind = next(kind for kind in get_args(lang.LocatorKind) if kind in raw)
    return lang.Target(kind, raw[kind], name=raw.get("name", ""), frame=tuple(raw.get("frame", ())))


def locked(folder: Path = FLOWS) -> dict[str, str]:
    """Return what each version hashed to when it was put into force, by its name."""
    path = folder / "versions.lock"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return dict(_pair(line) for line in lines if line and not line.startswith("#"))


def lock(book: Book, folder: Path = FLOWS) -> Iterator[str]:
    """Add the versions that are new to the lock; yield their names. What is locked stays as it is."""
    held = locked(folder)
    added = {version.name: version.sha256 for version in book.versions if version.name not in held}
    lines = [f"{name} {digest}" for name, digest in sorted((held | added).items())]
    text = "\n".join(
        ("# What every version of a flow hashes to. `upstream portals lint --lock` adds new ones.", *lines)
    )
    (folder / "versions.lock").write_text(text + "\n", encoding="utf-8")
    yield from added


def _pair(line: str) -> tuple[str, str]:
    name, _, digest = line.partition(" ")
    return name, digest
