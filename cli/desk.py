"""`upstream desk`: one command for an engineer outside the network; `terraform/upstream.sh` is its other end.

The command runs in an empty folder, with the files that were sent along. What it prints and writes goes back through a
bucket: it may be patients' data, and what a job prints is logged.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Protocol

import typer

from cli.output import Failure

STDOUT = ".stdout"
STDERR = ".stderr"


class Desk(Protocol):
    """What passes between the two ends of one run."""

    def fetch(self, folder: Path) -> None:
        """Write what was sent along below a folder."""
        ...

    def keep(self, name: str, path: Path) -> None:
        """Give a file back under a name."""
        ...


def desk(
    run: Annotated[str, typer.Argument(help="Names the run in the bucket.")],
    words: Annotated[list[str], typer.Argument(help="The command, without `upstream`.")],
) -> None:
    """Run a command for somebody outside the network, and put what it prints and writes into the bucket."""
    from shared.adapters.desk_bucket import DeskBucket
    from shared.runtime.settings import from_environment

    settings = from_environment()
    if settings.runtime != "gcp":
        raise Failure("this is the inner end of terraform/upstream.sh; here, run the command itself")
    bucket = DeskBucket(f"{settings.project_id}-desk", project_id=settings.project_id, run=run)
    raise typer.Exit(serve([sys.argv[0], *words], desk=bucket))


def serve(command: Sequence[str], *, desk: Desk) -> int:
    """Return the command's exit code, once everything that it printed and wrote is given back."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        desk.fetch(folder)
        sent = {path for path in folder.rglob("*") if path.is_file()}
        with (folder / STDOUT).open("wb") as out, (folder / STDERR).open("wb") as err:
            ended = subprocess.run(  # noqa: S603 - ourselves, with the words of whoever may run the job
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, check=False
            )
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path not in sent:
                desk.keep(str(path.relative_to(folder)), path)
    return ended.returncode
