"""Which Chromium there is. Looks, and installs nothing: `local/chromium.py` does that."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
SHELL: Final = (
    "/usr/lib/chromium/chromium-headless-shell"  # Debian's; what it puts on the path is a script around it
)
# Where Playwright keeps what `playwright install chromium` fetched, newest first when sorted by revision.
DOWNLOADED: Final = "chromium-*/chrome-linux*/chrome"
ON_MAC: Final = "chromium-*/chrome-mac*/*.app/Contents/MacOS/*"


def find_chromium(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the path of a Chromium: the one that UPSTREAM_CHROMIUM names, the machine's, or Playwright's own."""
    named = environ.get("UPSTREAM_CHROMIUM", "")
    if named:
        return named if os.access(named, os.X_OK) else None
    on_path = (shutil.which(name, path=environ.get("PATH")) for name in NAMES)
    return next((path for path in on_path if path), None) or _downloaded(environ)


def find_headless_shell(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the path of Chromium's headless shell: the one that UPSTREAM_HEADLESS_SHELL names, or Debian's."""
    named = environ.get("UPSTREAM_HEADLESS_SHELL", "") or SHELL
    return named if os.access(named, os.X_OK) else None


def _downloaded(environ: Mapping[str, str]) -> str | None:
    kept = environ.get("PLAYWRIGHT_BROWSERS_PATH", "")
    home = Path(environ.get("HOME", "/nonexistent"))
    folders = [Path(kept)] if kept else [home / ".cache/ms-playwright", home / "Library/Caches/ms-playwright"]
    found = [path for folder in folders for pattern in (DOWNLOADED, ON_MAC) for path in folder.glob(pattern)]
    newest = max(found, key=lambda path: path.stat().st_mtime, default=None)
    return str(newest) if newest else None
