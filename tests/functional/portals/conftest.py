"""One Chromium and one simulator for the suite."""

from tests.browser_portals import chromium, host, portals, shared_site, shell, site

__all__ = ["chromium", "host", "portals", "shared_site", "shell", "site"]
