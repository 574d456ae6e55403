"""`python -m local.portal_site`: the simulated portals on a port of their own, until Ctrl-C."""

import argparse
import sys
import threading
from pathlib import Path

from local.portal_site.site import SKINS, portal_site
from local.portal_site.store import Account


def main() -> None:
    """Serve, with one account a portal."""
    parser = argparse.ArgumentParser(description="Serve the simulated payers' portals.")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--database", type=Path, help="keep what is filed in this file")
    parser.add_argument(
        "--indexing-s", type=float, default=0.0, help="how long a submission takes to be searchable"
    )
    asked = parser.parse_args()
    with portal_site(database=asked.database, port=asked.port, indexing_s=asked.indexing_s) as site:
        for portal in SKINS:
            site.open_account(Account(portal, "clinic", "portal-demo"))
            sys.stdout.write(f"{site.url(portal)}  clinic / portal-demo\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
