"""One POST, with nothing but the standard library."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from cli.output import Failure


def post(
    url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
) -> tuple[int, Mapping[str, Any]]:
    """Return the answer's status and JSON body, whatever the status.

    Raises:
        Failure: nobody answered.
    """
    if not url.startswith(("http://", "https://")):
        raise Failure(f"{url} is no http URL")
    request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310 - checked above
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            return answer.status, _json(answer.read())
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, _json(exc.read())
    except (urllib.error.URLError, OSError) as exc:
        raise Failure(f"no answer from {url}: {getattr(exc, 'reason', exc)}") from exc


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
