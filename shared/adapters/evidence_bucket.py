"""`EvidenceStore` in Cloud Storage. Readers, retention and the key of each kind are the bucket's settings."""

from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID

from shared.adapters.evidence_paths import path_of
from shared.ports.evidence import Piece
from shared.runtime.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.cloud.storage import Blob, Bucket

TIMEOUT_S = 30.0
RETRIED_FOR_S = 60.0


class BucketEvidenceStore:
    """Objects below one bucket. An address is `gs://<bucket>/<path>`."""

    def __init__(self, bucket: str, *, project_id: str) -> None:
        """bucket: with retention and a customer-managed key, as Terraform makes it."""
        self._name = bucket
        self._project_id = project_id

    def put(self, customer_id: UUID, action_id: UUID, attempt: int, piece: Piece, content: bytes) -> str:
        """Return the piece's address.

        An upload that is tried again after its answer was lost finds the object there: retention forbids writing it
        anew, and it is the same attempt's piece.
        """
        from google.api_core.exceptions import Forbidden, GoogleAPIError, PreconditionFailed

        path = path_of(customer_id, action_id, attempt, piece)
        try:
            self._blob(path).upload_from_string(
                content,
                content_type=piece.content_type,
                timeout=TIMEOUT_S,
                if_generation_match=0,
                checksum="crc32c",
                retry=_retry(),
            )
        except PreconditionFailed:
            pass  # it is there
        except (GoogleAPIError, OSError) as exc:
            kind = "forbidden" if isinstance(exc, Forbidden) else type(exc).__name__
            raise TransientError("unavailable", f"evidence: {kind}") from exc
        return f"gs://{self._name}/{path}"

    def get(self, address: str) -> bytes:
        """Return what is kept there."""
        from google.api_core.exceptions import GoogleAPIError, NotFound

        prefix = f"gs://{self._name}/"
        if not address.startswith(prefix):
            raise PermanentError("not_found", "no address of this store")
        try:
            return bytes(
                self._blob(address.removeprefix(prefix)).download_as_bytes(timeout=TIMEOUT_S, retry=_retry())
            )
        except NotFound as exc:
            raise PermanentError("not_found", "no such evidence") from exc
        except (GoogleAPIError, OSError) as exc:
            raise TransientError("unavailable", f"evidence: {type(exc).__name__}") from exc

    def _blob(self, path: str) -> "Blob":
        return self._bucket.blob(path)

    @cached_property
    def _bucket(self) -> "Bucket":
        from google.cloud.storage import Client

        return Client(project=self._project_id).bucket(self._name)


def _retry() -> "Retry":
    from google.cloud.storage.retry import DEFAULT_RETRY

    retry: Retry = DEFAULT_RETRY.with_timeout(RETRIED_FOR_S)
    return retry
