"""Imports point one way, and importing `main` loads nobody's SDK.

The table below is the architecture: which layer may name which. An import inside a function or under
TYPE_CHECKING is an edge like any other, since it couples the two files just the same.
"""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WALKED = ("main.py", "functions", "shared", "cli", "local")
OURS = frozenset({"main", "functions", "shared", "cli", "local", "schemas", "benchmarks", "tests"})

# Packages that talk to the outside world. Their types stop at the adapter that imports them.
WORLD = frozenset(
    {"google.cloud", "google.pubsub_v1", "grpc", "pg8000", "sqlalchemy", "playwright", "aiohttp"}
)


@dataclass(frozen=True)
class Layer:
    """What the files below `path` may import besides the standard library and their own layer.

    path: a folder, or one file without its suffix; the longest that fits a file is its layer.
    ours: modules of this project, each with everything below it. Exclude with a leading "-".
    third_party: top-level packages; None is any. `world` says whether WORLD is among them.
    """

    path: str
    ours: tuple[str, ...] = ()
    third_party: frozenset[str] | None = frozenset()
    world: bool = False


CODECS = frozenset({"fastjsonschema", "orjson", "yaml"})
HOSTING = frozenset(
    {"cloudevents", "flask", "functions_framework", "orjson", "starlette", "structlog", "werkzeug"}
)
RUNTIME = ("shared.runtime", "-shared.runtime.bootstrap")

LAYERS = (
    Layer("main", ("functions", *RUNTIME), HOSTING),
    Layer("functions", ("shared.handlers", "shared.runtime", "shared.domain", "shared.ports"), HOSTING),
    Layer("shared"),
    Layer("shared/domain"),
    Layer("shared/formats", ("shared.domain", "shared.rules", "shared.runtime.errors"), CODECS),
    Layer("shared/rules", ("shared.domain", "shared.formats", "shared.runtime.errors"), CODECS),
    Layer("shared/documents", ("shared.domain",), frozenset({"jinja2"})),
    Layer("shared/ports", ("shared.domain", "shared.runtime.errors")),
    Layer(
        "shared/handlers",
        ("shared.domain", "shared.rules", "shared.formats", "shared.documents", "shared.ports", *RUNTIME),
        CODECS | {"structlog"},
    ),
    Layer("shared/adapters", ("shared.ports", "shared.domain", *RUNTIME), None, world=True),
    Layer("shared/portals", ("shared.ports", "shared.domain", *RUNTIME), None, world=True),
    Layer("shared/runtime", ("shared.domain", "shared.ports"), None),
    Layer("shared/runtime/bootstrap", ("shared", "schemas"), None),
    Layer("local", ("main", "functions", "shared", "schemas"), None, world=True),
    Layer("cli", ("main", "functions", "shared", "schemas", "local", "benchmarks"), None, world=True),
)


@dataclass(frozen=True)
class Import:
    module: str
    file: str
    line: int


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def layer_of(path: str) -> Layer | None:
    """Return the layer of a file or a module's path, without its suffix; None if it is in no layer."""
    fitting = [layer for layer in LAYERS if path == layer.path or path.startswith(layer.path + "/")]
    return max(fitting, key=lambda layer: len(layer.path), default=None)


def permitted(layer: Layer, module: str) -> bool:
    """Whether a file of `layer` may import `module`."""
    top = module.partition(".")[0]
    if top in OURS:
        refused = [entry[1:] for entry in layer.ours if entry.startswith("-")]
        allowed = [entry for entry in layer.ours if not entry.startswith("-")]
        return layer_of(module.replace(".", "/")) == layer or (
            any(within(module, entry) for entry in allowed)
            and not any(within(module, entry) for entry in refused)
        )
    if top in sys.stdlib_module_names:
        return True
    if not layer.world and any(within(module, package) for package in WORLD):
        return False
    return layer.third_party is None or top in layer.third_party


def imported_modules(node: ast.AST, file: str) -> Iterator[str]:
    """Yield what a statement imports by its full name, `from package import name` as `package.name`."""
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            package = Path(file).parts[:-level] if level else ()
            base = ".".join([*package, *([module] if module else [])])
            # Whether a name is a module or a symbol in one makes no difference to what it lies within.
            yield from (f"{base}.{alias.name}" for alias in names)
        case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
            yield name
        case _:
            return


def imports_of(source: str, file: str) -> Iterator[Import]:
    for node in ast.walk(ast.parse(source, file)):
        for module in imported_modules(node, file):
            yield Import(module, file, getattr(node, "lineno", 0))


def violations(source: str, file: str) -> list[str]:
    layer = layer_of(file.removesuffix(".py"))
    assert layer, f"{file} is in no layer: add it to LAYERS"
    return [
        f"{found.file}:{found.line}: {layer.path} may not import {found.module}"
        for found in imports_of(source, file)
        if not permitted(layer, found.module)
    ]


def python_files() -> list[Path]:
    paths = [ROOT / name for name in WALKED]
    return [path for path in paths if path.is_file()] + sorted(
        file for path in paths if path.is_dir() for file in path.rglob("*.py")
    )


def test_imports_point_one_way() -> None:
    found = [
        violation
        for path in python_files()
        for violation in violations(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("shared/domain/x.py", "import orjson"),
        ("shared/domain/x.py", "from shared.runtime import errors"),
        ("shared/formats/x.py", "from shared.runtime.log import log"),
        ("shared/rules/x.py", "import sqlalchemy"),
        ("shared/ports/x.py", "from shared.adapters.memory import Store"),
        ("shared/handlers/x.py", "from shared.runtime import bootstrap"),
        ("shared/handlers/x.py", "from shared.adapters import postgres"),
        ("shared/handlers/x.py", "def f():\n    import google.cloud.pubsub_v1"),
        ("shared/handlers/x.py", "import importlib\nimportlib.import_module('pg8000')"),
        ("shared/adapters/x.py", "from shared.handlers import accept_webhook"),
        ("shared/adapters/x.py", "from shared.runtime.bootstrap import app"),
        ("shared/portals/x.py", "from shared.adapters import postgres"),
        ("shared/runtime/x.py", "from shared.adapters import postgres"),
        ("shared/runtime/x.py", "from shared.runtime.bootstrap import app"),
        ("shared/runtime/x.py", "from google.cloud import firestore"),
        ("shared/runtime/bootstrap.py", "from local import broker"),
        ("shared/runtime/bootstrap.py", "import aiohttp"),
        ("shared/settings.py", "from shared.adapters import postgres"),
        ("functions/webhooks/x.py", "from shared.adapters import postgres"),
        ("functions/webhooks/x.py", "import pg8000.native"),
        ("local/x.py", "from cli import app"),
        ("main.py", "from shared.adapters import postgres"),
        ("main.py", "import local"),
    ],
)
def test_a_forbidden_edge_is_found(file: str, source: str) -> None:
    assert len(violations(source, file)) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("main.py", "from functions.webhooks.receive_webhook import receive_webhook"),
        ("functions/webhooks/x.py", "from shared.runtime.bootstrap import app"),
        ("shared/domain/x.py", "from shared.domain import money"),
        ("shared/rules/x.py", "import yaml\nfrom shared.runtime.errors import PoisonError"),
        ("shared/handlers/x.py", "from shared.runtime import log\nfrom shared.ports.clock import Clock"),
        (
            "shared/adapters/x.py",
            "from google.cloud import firestore\nfrom shared.runtime.errors import PoisonError",
        ),
        (
            "shared/runtime/bootstrap.py",
            "from shared.adapters import postgres\nfrom shared.runtime import log",
        ),
        ("shared/runtime/log.py", "import structlog\nfrom shared.runtime import errors"),
        ("local/x.py", "import aiohttp\nfrom shared.adapters import postgres"),
        ("cli/x.py", "from local import broker"),
    ],
)
def test_a_permitted_edge_is_left_alone(file: str, source: str) -> None:
    assert violations(source, file) == []


# What a cold start of one function must not pay for on behalf of another.
NOT_AT_IMPORT = (
    "google.cloud",
    "google.pubsub_v1",
    "grpc",
    "pg8000",
    "sqlalchemy",
    "alembic",
    "apprise",
    "aiohttp",
    "playwright",
    "selenium",
    "numpy",
    "scipy",
    "prometheus_client",
    "opentelemetry",
    "sentry_sdk",
)
# functions-framework's own legacy event context lives in Google's namespace; it is two small modules.
FRAMEWORK = ("google.cloud.functions", "google.cloud.functions_v1")


def test_importing_main_loads_no_sdk() -> None:
    listing = subprocess.run(
        [sys.executable, "-c", "import json, sys, main; print(json.dumps(sorted(sys.modules)))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert listing.returncode == 0, listing.stderr
    loaded: list[str] = json.loads(listing.stdout.splitlines()[-1])
    offenders = [
        module
        for module in loaded
        if any(within(module, package) for package in NOT_AT_IMPORT)
        and module != "google.cloud"  # a namespace without code
        and not any(within(module, package) for package in FRAMEWORK)
    ]
    assert not offenders, f"`import main` loads {', '.join(offenders)}"
