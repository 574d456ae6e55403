"""Whether a reply is one that `schemas/openapi.json` documents: its status, headers, media type and content."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

PATH: Final = Path(__file__).parents[1] / "schemas" / "openapi.json"
DOCUMENT: Final[Mapping[str, Any]] = json.loads(PATH.read_text())
RESPONSES: Final[Mapping[str, Any]] = DOCUMENT["components"]["responses"]
PROBLEM: Final = "application/problem+json"
REGISTRY: Final = Registry().with_resource("urn:document", DRAFT202012.create_resource(DOCUMENT))
HOSTED: Final = frozenset(
    {"GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH"}
)  # methods that reach a function
ROUTES: Final = {
    re.compile(re.sub(r"\\{\w+\\}", "[^/]*", re.escape(template))): item
    for template, item in DOCUMENT["paths"].items()
}


@dataclass(frozen=True)
class Reply:
    """headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


def fault(method: str, path: str, reply: Reply) -> str | None:
    """Return what about the reply is not in the document, or None. path: decoded, without its query."""
    expected = _responses(method, path).get(str(reply.status))
    if expected is None:
        return f"{method} {path!r}: {reply.status} is not documented"
    return next(_faults(expected, reply), None)


def problem_codes() -> set[tuple[int, str]]:
    """Return every (status, code) that the document names."""
    found = set()
    for response in RESPONSES.values():
        content = response.get("content", {}).get(PROBLEM)
        if content is not None:
            told = content["schema"]["allOf"][1]["properties"]
            found |= {(told["status"]["const"], code) for code in told["code"]["enum"]}
    return found


def _responses(method: str, path: str) -> Mapping[str, Any]:
    """Return the replies to a request; the server may find any of them not to be HTTP."""
    slim = "/" + path.strip("/")
    item = next((item for route, item in ROUTES.items() if route.fullmatch(slim)), None)
    replies: dict[str, Any] = {"400": RESPONSES["BadRequest"]}
    if item is None:
        replies["404"] = DOCUMENT["x-other-paths"]
    elif method in HOSTED and method.lower() in item:
        return {**replies, **item[method.lower()]["responses"]}
    if item is not None or method not in HOSTED:
        replies["405"] = RESPONSES["MethodNotAllowed"]
    return replies


def _faults(expected: Mapping[str, Any], reply: Reply) -> Iterator[str]:
    expected = _resolved(expected)
    for name, declared in expected.get("headers", {}).items():
        value = reply.headers.get(name.lower())
        # What the server or framework says in plain text, it says without our headers.
        if value is None and not _is_plain(reply):
            yield f"{reply.status} without {name}"
        elif value is not None:
            yield from _schema_faults(_resolved(declared)["schema"], value, f"{reply.status} {name}")
    media_type = reply.headers.get("content-type", "").partition(";")[0]
    if "content" not in expected:
        yield from [f"{reply.status} has a body"] if reply.body else []
    elif media_type not in expected["content"]:
        yield f"{reply.status} as {media_type!r}: {reply.body[:80]!r}"
    elif reply.body:  # none after HEAD
        schema = expected["content"][media_type]["schema"]
        value = reply.body.decode() if _is_plain(reply) else json.loads(reply.body)
        yield from _schema_faults(schema, value, str(reply.status))


def _is_plain(reply: Reply) -> bool:
    return reply.headers.get("content-type", "").startswith("text/plain")


def _schema_faults(schema: Mapping[str, Any], value: object, where: str) -> Iterator[str]:
    absolute: Any = _absolute(schema)
    validator = Draft202012Validator(absolute, registry=REGISTRY)
    for error in validator.iter_errors(value):
        yield f"{where}: {error.message}"


def _absolute(schema: object) -> object:
    """Return the schema with its references made absolute."""
    match schema:
        case {"$ref": str(reference)}:
            return {"$ref": "urn:document" + reference}
        case dict():
            return {name: _absolute(value) for name, value in schema.items()}
        case list():
            return [_absolute(value) for value in schema]
        case _:
            return schema


def _resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        found: Any = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        node = found
    return node
