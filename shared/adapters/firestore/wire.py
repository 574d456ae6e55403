"""One event loop's way to Firestore. Writes that arrive together travel in one request, each with a fate of its own."""

import os
from collections.abc import Iterator, Sequence
from typing import Final

import grpc.aio
from google.api_core.exceptions import AlreadyExists, FailedPrecondition, NotFound, from_grpc_status
from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcAsyncIOTransport
from google.cloud.firestore_v1.types import (
    BatchWriteRequest,
    BatchWriteResponse,
    GetDocumentRequest,
    Write,
)

from shared.adapters.firestore.documents import Held, held, micros, target
from shared.adapters.google_calls import async_retry, google_errors
from shared.runtime.batcher import Batcher
from shared.runtime.settings import STORE_TIMEOUT_S

EMULATOR: Final = "FIRESTORE_EMULATOR_HOST"
EMULATOR_METADATA: Final = (("authorization", "Bearer owner"),)  # it lets its owner past the security rules
STORE: Final = "idempotency store"
MAX_WRITES: Final = 256  # Firestore takes 500
OVERTAKEN: Final = (
    AlreadyExists,  # somebody made the document first, or our own write did and its answer was lost
    FailedPrecondition,  # the document has changed since, or is gone
    NotFound,  # the document is gone
)


class Wire:
    """Reads and conditional writes, each with a deadline."""

    def __init__(self, *, project_id: str, database: str) -> None:
        """Open a channel in the running loop; it connects at the first call."""
        self._database = f"projects/{project_id}/databases/{database}"
        emulator = os.environ.get(EMULATOR)
        self._metadata = EMULATOR_METADATA if emulator else ()
        with google_errors(STORE):
            self._client = _client(emulator)
        writes: Batcher[Write, int] = Batcher(self._write_all, max_items=MAX_WRITES)
        self._submit = async_retry(STORE_TIMEOUT_S)(writes.submit)

    def name(self, collection: str, document_id: str) -> str:
        """Return a document's full name."""
        return f"{self._database}/documents/{collection}/{document_id}"

    async def write(self, write: Write) -> int | None:
        """Write if the condition holds, and return the document's new version (0 for a deletion); else return None.

        None can also mean that it held, was written, and the answer got lost: who asks must look.
        Raises:
            TransientError: the store did not answer.
        """
        with google_errors(STORE):
            try:
                return await self._submit(write)
            except OVERTAKEN:
                return None

    async def read(self, name: str) -> Held | None:
        """Return the document as it is now.

        Raises:
            TransientError: the store did not answer.
        """
        request = GetDocumentRequest(name=name)
        with google_errors(STORE):
            try:
                return held(
                    await self._client.get_document(
                        request=request,
                        timeout=STORE_TIMEOUT_S,
                        retry=async_retry(STORE_TIMEOUT_S),
                        metadata=self._metadata,
                    )
                )
            except NotFound:
                return None

    async def close(self) -> None:
        """Close the channel."""
        await self._client.transport.close()  # type: ignore[no-untyped-call]

    async def _write_all(self, writes: Sequence[Write]) -> Sequence[int | Exception]:
        """Write them all, in one request unless several are about the same document, which Firestore refuses."""
        outcomes: dict[int, int | Exception] = {}
        for positions in _rounds(writes):
            request = BatchWriteRequest(database=self._database, writes=[writes[n] for n in positions])
            with google_errors(STORE):
                response = await self._client.batch_write(
                    request=request,
                    timeout=STORE_TIMEOUT_S,
                    retry=async_retry(STORE_TIMEOUT_S),
                    metadata=self._metadata,
                )
            outcomes |= dict(zip(positions, _fates(response), strict=True))
        return [outcomes[n] for n in range(len(writes))]


def _client(emulator: str | None) -> FirestoreAsyncClient:
    if not emulator:
        return FirestoreAsyncClient()
    channel = grpc.aio.insecure_channel(emulator)  # the generated client does not read the variable
    return FirestoreAsyncClient(transport=FirestoreGrpcAsyncIOTransport(channel=channel))


def _rounds(writes: Sequence[Write]) -> Iterator[Sequence[int]]:
    """Split positions so that no round has two writes of one document. Pure."""
    left = list(range(len(writes)))
    while left:
        first = {target(writes[n]): n for n in reversed(left)}
        chosen = sorted(first.values())
        yield chosen
        left = sorted(set(left).difference(chosen))


def _fates(response: BatchWriteResponse) -> Iterator[int | Exception]:
    """Return each write's new version, or the error that it alone met. Pure."""
    raw = BatchWriteResponse.pb(response)
    for result, status in zip(raw.write_results, raw.status, strict=True):
        if status.code == 0:
            yield micros(result.update_time)
        else:
            yield from_grpc_status(status.code, status.message)  # type: ignore[no-untyped-call]
