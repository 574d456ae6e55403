"""Commands to try next, written so that they work as they stand."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

from cli.options import DEFAULT_HOME

EXAMPLE: Final = "samples/x12-835/x12-parser__profee.edi"


def command(*words: object, home: Path = DEFAULT_HOME) -> str:
    """Return an `upstream` command line for this shell and folder."""
    line = [_program(), *map(str, words)]
    if home != DEFAULT_HOME:
        line += ["--home", str(home)]
    return shlex.join(line)


def _program() -> str:
    """Return how this program was called: by its name where that is on the path, else by its file."""
    called = Path(sys.argv[0])
    if called.name != "upstream":
        return "upstream"
    found = shutil.which("upstream")
    if found is not None and Path(found).resolve() == called.resolve():
        return "upstream"
    here = Path.cwd()
    return str(called.relative_to(here) if called.is_absolute() and called.is_relative_to(here) else called)
