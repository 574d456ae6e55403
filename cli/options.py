"""Options that commands share."""

from pathlib import Path
from typing import Annotated, Final

import typer

DEFAULT_HOME: Final = Path(".upstream/demo")

Home = Annotated[
    Path,
    typer.Option(
        envvar="UPSTREAM_HOME",
        help="The folder of the local pipeline: its database, secrets and logs.",
        file_okay=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, to standard output.")]
