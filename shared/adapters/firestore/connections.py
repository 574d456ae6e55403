"""`ConnectionRegistry` in Firestore: `connections/{id}`."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from google.cloud.firestore import Client, CollectionReference

from shared.adapters.google_calls import blocking_retry, google_errors
from shared.ports.connections import Connection
from shared.runtime.settings import STORE_TIMEOUT_S

COLLECTION: Final = "connections"
FIELDS: Final = frozenset(field.name for field in fields(Connection))


class FirestoreConnectionRegistry:
    """One document a connection. Nothing connects before the first call."""

    def __init__(self, *, project_id: str, database: str = "(default)") -> None:
        """project_id, database: which Firestore database."""
        self._project_id = project_id
        self._database = database
        self._retry = blocking_retry(STORE_TIMEOUT_S)

    @cached_property
    def _client(self) -> Client:
        return Client(project=self._project_id, database=self._database)

    @property
    def _documents(self) -> CollectionReference:
        return self._client.collection(COLLECTION)

    def get(self, connection_id: UUID) -> Connection | None:
        """Return the connection as it is now, disabled ones too, or None."""
        with google_errors("connections"):
            found = self._documents.document(str(connection_id)).get(
                retry=self._retry, timeout=STORE_TIMEOUT_S
            )
        document = found.to_dict()
        return None if document is None else _connection(document)

    def put(self, connection: Connection) -> None:
        """Store the connection, over an earlier one of its id."""
        document = {
            **asdict(connection),
            "id": str(connection.id),
            "customer_id": str(connection.customer_id),
        }
        with google_errors("connections"):
            self._documents.document(str(connection.id)).set(
                document, retry=self._retry, timeout=STORE_TIMEOUT_S
            )

    def list(self) -> list[Connection]:
        """Return all connections, by provider and id."""
        with google_errors("connections"):
            found = [
                _connection(snapshot.to_dict() or {})
                for snapshot in self._documents.stream(retry=self._retry, timeout=STORE_TIMEOUT_S)
            ]
        return sorted(found, key=lambda connection: (connection.provider, str(connection.id)))

    def close(self) -> None:
        """Close the channel."""
        self._client.close()  # type: ignore[no-untyped-call]


def _connection(document: Mapping[str, Any]) -> Connection:
    """Return the connection a document describes. A field that a later release added is not ours to read."""
    known = {name: value for name, value in document.items() if name in FIELDS}
    return Connection(
        **{**known, "id": UUID(document["id"]), "customer_id": UUID(document["customer_id"])},
    )
