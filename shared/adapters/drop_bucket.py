"""`Drops` in Cloud Storage: `<connection id>/<object>`; what is done with moves to `taken/` or `refused/` there.

An object is complete as soon as it is listed, and is read in blocks, so that memory does not follow its size.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Final

from shared.adapters.drop_folder import REFUSED, TAKEN
from shared.ports.drops import Drop, Stream
from shared.runtime.errors import TransientError

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.cloud.storage import Blob, Bucket

TIMEOUT_S = 30.0
RETRIED_FOR_S = 60.0
BLOCK: Final = 1 << 20
SCHEME: Final = "gs://"


class BucketDrops:
    """Objects of one bucket. Who looks needs to list, read, write and delete objects there."""

    def __init__(self, bucket: str, *, project_id: str) -> None:
        """bucket: its name, without `gs://`."""
        self._name = bucket
        self._project_id = project_id

    def waiting(self) -> list[Drop]:
        """Return the objects that are not taken yet, the oldest first."""
        with _google_errors():
            listed = list(self._bucket.list_blobs(timeout=TIMEOUT_S, retry=_retry()))
        found = sorted((blob.time_created or datetime.min.replace(tzinfo=UTC), blob.name) for blob in listed)
        return [drop for _, name in found if (drop := _drop(name)) is not None]

    @contextmanager
    def open(self, drop: Drop) -> Iterator[Stream]:
        """Open an object."""
        with _google_errors():
            stream = self._blob(drop.key).open("rb", chunk_size=BLOCK, timeout=TIMEOUT_S, retry=_retry())
            with stream:
                yield stream

    def taken(self, drop: Drop) -> None:
        """Rename it below `taken/`."""
        self._move(drop, TAKEN)

    def refused(self, drop: Drop) -> None:
        """Rename it below `refused/`."""
        self._move(drop, REFUSED)

    def close(self) -> None:
        """Close the connections."""
        self._bucket.client.close()

    def _move(self, drop: Drop, to: str) -> None:
        """Copy an object and delete it. Killed in between, it is taken again: for nothing, and moved then."""
        prefix, _, name = drop.key.partition("/")
        with _google_errors():
            source = self._blob(drop.key)
            target = self._free(f"{prefix}/{to}/{name}")
            token, *_ = target.rewrite(source, timeout=TIMEOUT_S, retry=_retry())
            while token is not None:
                token, *_ = target.rewrite(source, token=token, timeout=TIMEOUT_S, retry=_retry())
            source.delete(timeout=TIMEOUT_S, retry=_retry())

    def _free(self, name: str) -> "Blob":
        """Return an object of this name that is not there; one that is stays beside it."""
        names = (name if n == 0 else f"{name}.{n}" for n in range(1_000_000))
        return next(
            blob for blob in map(self._blob, names) if not blob.exists(timeout=TIMEOUT_S, retry=_retry())
        )

    def _blob(self, name: str) -> "Blob":
        return self._bucket.blob(name)

    @cached_property
    def _bucket(self) -> "Bucket":
        from google.cloud.storage import Client

        return Client(project=self._project_id).bucket(self._name)


def _drop(name: str) -> Drop | None:
    """Return the drop that an object is; None for what is done with, what lies below no name, and folders' markers."""
    prefix, _, rest = name.partition("/")
    if not prefix or not rest or "/" in rest:
        return None
    label = hashlib.sha256(rest.encode()).hexdigest()[:12]
    return Drop(prefix=prefix, key=name, label=f"{prefix}/{label}")


@contextmanager
def _google_errors() -> Iterator[None]:
    from google.api_core.exceptions import Forbidden, GoogleAPIError

    try:
        yield
    except (GoogleAPIError, OSError) as exc:
        kind = "forbidden" if isinstance(exc, Forbidden) else type(exc).__name__
        raise TransientError("unavailable", f"the bucket: {kind}") from exc


def _retry() -> "Retry":
    from google.cloud.storage.retry import DEFAULT_RETRY

    retry: Retry = DEFAULT_RETRY.with_timeout(RETRIED_FOR_S)
    return retry
