"""What a library logs reaches our logs as a fact, never as its text."""

import json
import logging
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

SCRIPT = """
import logging
from shared.runtime import log

log.configure()
try:
    raise ValueError("[parameters: ('DOE, JANE',)]")
except ValueError:
    logging.getLogger("sqlalchemy.pool").error("closing %r", "DOE, JANE", exc_info=True)
logging.getLogger("other").info("DOE, JANE")
"""


def test_a_librarys_error_is_one_json_line_without_its_text() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "JANE" not in done.stdout + done.stderr
    [line] = [json.loads(text) for text in done.stdout.splitlines()]
    assert (line["event"], line["library"], line["error"]) == (
        "library.logged",
        "sqlalchemy.pool",
        "ValueError",
    )
    assert line["severity"] == logging.getLevelName(logging.ERROR)
    assert not done.stderr
