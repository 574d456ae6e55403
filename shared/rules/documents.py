"""Text becomes plain data: YAML or JSON, and of YAML only what JSON could say as well. Pure.

A rule that a person approved must not change its meaning on the way in. So `off` and `no` stay words, `2026-03-01`
stays text, `0123` keeps its zero, a key that comes twice is an error, and there are no aliases, merges or tags.
"""

import json
import re
from collections.abc import Hashable, Iterable
from typing import Final, Never

import yaml

from shared.rules.reading import invalid

MAX_CHARACTERS: Final = 1_000_000


def from_yaml(text: str) -> list[object]:
    """Return every document of a YAML text; they are separated by `---`.

    Raises:
        PoisonError: not YAML, or more of YAML than rules are written in (`invalid_rule`, with the line).
    """
    _bound(text)
    try:
        return list(yaml.load_all(text, _PlainLoader))
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 0
        raise invalid(f"line {line}", exc.problem or "not YAML") from exc
    except yaml.YAMLError as exc:
        raise invalid("$", "not YAML") from exc
    except RecursionError as exc:
        raise invalid("$", "nested too deep") from exc


def from_json(text: str) -> object:
    """Return the document of a JSON text.

    Raises:
        PoisonError: not JSON (`invalid_rule`, with the line).
    """
    _bound(text)
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as exc:
        raise invalid(f"line {exc.lineno}", exc.msg) from exc
    except (ValueError, RecursionError) as exc:
        raise invalid("$", "a number or a nesting beyond what a rule can hold") from exc


def line_of(text: str, nth: int, place: str) -> int:
    """Return the line on which a JSON path of a text's nth document begins, or the nearest one around it; 1-based."""
    nodes = list(yaml.compose_all(text, _PlainLoader))
    node = nodes[nth] if nth < len(nodes) else None
    line = 1 if node is None else node.start_mark.line + 1
    for step in re.findall(r"[^.\[\]$]+", place):
        node = _child(node, step)
        if node is None:
            break
        line = node.start_mark.line + 1
    return line


def _child(node: yaml.Node | None, step: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and step.isdigit() and int(step) < len(node.value):
        found: yaml.Node = node.value[int(step)]
        return found
    return None


def _bound(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise invalid("$", f"longer than {MAX_CHARACTERS} characters")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise invalid("$", "a key comes twice")
    return found


def _no_constant(name: str) -> Never:
    raise invalid("$", f"{name} is not a number of JSON")


class _PlainLoader(yaml.SafeLoader):
    """YAML 1.2's JSON schema: null, booleans, numbers, text, lists, mappings with unique keys."""

    yaml_implicit_resolvers: Final = {}  # type: ignore[misc] # not the inherited ones of YAML 1.1
    yaml_constructors: Final = {  # type: ignore[misc] # as above
        tag: yaml.SafeLoader.yaml_constructors[tag]
        for tag in (
            None,
            *(f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "seq")),
        )
    }

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not part of rules", self.get_mark())
        return super().compose_node(parent, index)

    def plain_mapping(self, node: yaml.MappingNode) -> dict[Hashable, object]:
        found: dict[Hashable, object] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str) or key in found:
                problem = "a key that comes twice, or is not text"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            found[key] = self.construct_object(value_node, deep=True)
        return found


def _resolve(kind: str, pattern: str, first: Iterable[str]) -> None:
    _PlainLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{kind}", re.compile(f"^(?:{pattern})$"), list(first)
    )


_resolve("null", "null|~|", ["n", "~", ""])
_resolve("bool", "true|false", "tf")
_resolve("int", "-?(?:0|[1-9][0-9]{0,18})", "-0123456789")
_resolve("float", r"-?(?:0|[1-9][0-9]{0,18})(?:\.[0-9]{1,18})?(?:[eE][-+]?[0-9]{1,3})?", "-0123456789")
_PlainLoader.add_constructor("tag:yaml.org,2002:map", _PlainLoader.plain_mapping)
