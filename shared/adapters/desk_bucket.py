"""What passes between an engineer outside the network and a command inside: `<run>/in/`, `<run>/out/` of a bucket."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from shared.runtime.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.cloud.storage import Bucket

TIMEOUT_S = 30.0
RETRIED_FOR_S = 60.0


class DeskBucket:
    """Files of one run. The bucket's lifecycle removes what nobody took."""

    def __init__(self, bucket: str, *, project_id: str, run: str) -> None:
        """run: what nobody else's is named."""
        self._name = bucket
        self._project_id = project_id
        self._run = run

    def fetch(self, folder: Path) -> None:
        """Write what was sent along below a folder.

        Raises:
            PermanentError: a name that leads out of it.
            TransientError: the bucket did not answer.
        """
        prefix = f"{self._run}/in/"
        with _google_errors():
            for blob in self._bucket.list_blobs(prefix=prefix, timeout=TIMEOUT_S, retry=_retry()):
                target = (folder / blob.name.removeprefix(prefix)).resolve()
                if not target.is_relative_to(folder.resolve()):
                    raise PermanentError("bad_request", "a file that lies outside")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(blob.download_as_bytes(timeout=TIMEOUT_S, retry=_retry()))

    def keep(self, name: str, path: Path) -> None:
        """Give a file back under a name.

        Raises:
            TransientError: the bucket did not answer.
        """
        with _google_errors():
            self._bucket.blob(f"{self._run}/out/{name}").upload_from_string(
                path.read_bytes(), content_type="application/octet-stream", timeout=TIMEOUT_S, retry=_retry()
            )

    @cached_property
    def _bucket(self) -> "Bucket":
        from google.cloud.storage import Client

        return Client(project=self._project_id).bucket(self._name)


@contextmanager
def _google_errors() -> Iterator[None]:
    from google.api_core.exceptions import GoogleAPIError

    try:
        yield
    except GoogleAPIError as exc:
        raise TransientError("unavailable", f"desk: {type(exc).__name__}") from exc


def _retry() -> "Retry":
    from google.cloud.storage.retry import DEFAULT_RETRY

    retry: Retry = DEFAULT_RETRY.with_timeout(RETRIED_FOR_S)
    return retry
