"""`PatientObjects` where payloads and evidence are kept: below a prefix of the customer's own, of each kind."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

from shared.ports.evidence import PieceKind
from shared.runtime.errors import TransientError

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Bucket

OF_PATIENTS: Final[tuple[PieceKind, ...]] = ("payload", "document", "trace", "screenshot")
TIMEOUT_S: Final = 30.0


class FilePatientObjects:
    """Files below the local runtimes' evidence folder."""

    def __init__(self, folder: Path) -> None:
        """folder: may be missing."""
        self._folder = folder

    def count(self, customer_id: UUID) -> int:
        """Return how many files there are."""
        return sum(1 for _ in self._files(customer_id))

    def remove(self, customer_id: UUID) -> int:
        """Remove them; return how many."""
        removed = 0
        try:
            for path in list(self._files(customer_id)):
                path.unlink(missing_ok=True)
                removed += 1
        except OSError as exc:
            raise TransientError("unavailable", f"evidence: {type(exc).__name__}") from exc
        return removed

    def _files(self, customer_id: UUID) -> Iterator[Path]:
        for kind in OF_PATIENTS:
            yield from (p for p in (self._folder / f"{kind}s" / str(customer_id)).rglob("*") if p.is_file())


class BucketPatientObjects:
    """Objects of the payloads bucket. Evidence has a bucket whose retention lets nobody delete."""

    def __init__(self, bucket: str, *, project_id: str) -> None:
        """bucket: versioned; what is removed here goes for good when its lifecycle says so."""
        self._name = bucket
        self._project_id = project_id

    def count(self, customer_id: UUID) -> int:
        """Return how many objects there are."""
        return len(self._blobs(customer_id))

    def remove(self, customer_id: UUID) -> int:
        """Remove them; return how many."""
        from google.api_core.exceptions import GoogleAPIError, NotFound

        blobs = self._blobs(customer_id)
        for blob in blobs:
            try:
                blob.delete(timeout=TIMEOUT_S)
            except NotFound:
                pass  # another run was there first
            except (GoogleAPIError, OSError) as exc:
                raise TransientError("unavailable", f"payloads: {type(exc).__name__}") from exc
        return len(blobs)

    def _blobs(self, customer_id: UUID) -> "list[Blob]":
        from google.api_core.exceptions import GoogleAPIError

        try:
            return list(self._bucket.list_blobs(prefix=f"payloads/{customer_id}/", timeout=TIMEOUT_S))
        except (GoogleAPIError, OSError) as exc:
            raise TransientError("unavailable", f"payloads: {type(exc).__name__}") from exc

    @cached_property
    def _bucket(self) -> "Bucket":
        from google.cloud.storage import Client

        return Client(project=self._project_id).bucket(self._name)
