"""What people are told to type on Google Cloud does what it says, with a stand-in for gcloud."""

import base64
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cli.cloud_secrets import enter, make

GCLOUD = f"""#!{sys.executable} -IS
import pathlib, sys
folder = pathlib.Path(__file__).parent
(folder / "told").write_text(" ".join(sys.argv[1:]))
(folder / "value").write_text(sys.stdin.read())
"""


def typed(folder: Path, commands: Sequence[str], *, answer: str = "") -> str:
    """Return the value that gcloud was given."""
    (folder / "gcloud").write_text(GCLOUD)
    (folder / "gcloud").chmod(0o755)
    subprocess.run(
        ["/bin/bash", "-ec", "\n".join(commands)],
        env={"PATH": f"{folder}:{os.environ['PATH']}"},
        input=answer,
        text=True,
        check=True,
        timeout=60,
    )
    return (folder / "value").read_text()


def test_a_signing_secret_is_made_and_added(tmp_path: Path) -> None:
    value = typed(tmp_path, make("connection-1", project_id="p"))
    assert len(base64.b64decode(value.removeprefix("whsec_"), validate=True)) == 32
    told = (tmp_path / "told").read_text()
    assert told == "secrets versions add connection-1 --project=p --data-file=-"
    assert value != typed(tmp_path, make("connection-1", project_id="p"))


def test_a_token_is_asked_for_and_added_without_its_line_end(tmp_path: Path) -> None:
    assert typed(tmp_path, enter("fetch-1", project_id="p"), answer="a token\n") == "a token"
