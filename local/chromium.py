"""Chromium for this machine: the one it has, else Debian's package, else Playwright's own.

python -m local.chromium        prints its path; exits 1, saying why, where none can be had
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from shared.portals.chromium import find_chromium

INSTALLED_WITHIN_S: Final = 600
# Without a font Chromium prints boxes; the package only recommends one.
DEBIAN: Final = ("chromium", "fonts-liberation")
LIGHTER: Final = "chromium-headless-shell"  # not every release has it, and Chromium does its work as well
APT: Final = ("apt-get", "-qq", "-y")


class ChromiumMissingError(Exception):
    """There is none, and none can be had. The text says what was tried."""


def ensure_chromium() -> str:
    """Return Chromium's path; installs it if there is none. Minutes, then.

    Raises:
        ChromiumMissingError: it could not be installed.
    """
    found = find_chromium()
    if found:
        return found
    if os.environ.get("UPSTREAM_CHROMIUM"):
        raise ChromiumMissingError("UPSTREAM_CHROMIUM names no program")
    tried = [" ".join(commands[-1]) for commands in _ways() if _failed(commands)]
    found = find_chromium()
    if not found:
        raise ChromiumMissingError(f"no Chromium on this machine; tried: {'; '.join(tried) or 'nothing'}")
    return found


def _ways() -> Sequence[Sequence[Sequence[str]]]:
    """Return the ways to install it, best first, each a series of commands."""
    browsers = (sys.executable, "-m", "playwright", "install", "chromium")
    if os.name == "posix" and os.geteuid() == 0 and shutil.which("apt-get"):
        install = (*APT, "install", "--no-install-recommends", *DEBIAN)
        return (((*APT, "update"), install), (browsers,))
    return ((browsers,),)


def _failed(commands: Sequence[Sequence[str]]) -> bool:
    """Run the commands until one fails, unless an earlier way has been good."""
    if find_chromium():
        return False
    if not all(map(_done, commands)):
        return True
    if commands[-1][0] == APT[0]:
        _done((*APT, "install", "--no-install-recommends", LIGHTER))
    return find_chromium() is None


def _done(command: Sequence[str]) -> bool:
    environment: Mapping[str, str] = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=INSTALLED_WITHIN_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def main() -> None:
    """Print the path."""
    try:
        sys.stdout.write(ensure_chromium() + "\n")
    except ChromiumMissingError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
