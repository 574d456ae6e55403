"""`ConnectionRegistry` in PostgreSQL."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Engine, text

from shared.adapters.postgres.engine import database_errors
from shared.ports.connections import Connection

GET = text("SELECT document FROM connections WHERE id = CAST(:id AS uuid)")
PUT = text("""
INSERT INTO connections (id, document) VALUES (CAST(:id AS uuid), CAST(:document AS jsonb))
ON CONFLICT (id) DO UPDATE SET document = EXCLUDED.document
""")
LIST = text("SELECT document FROM connections ORDER BY document ->> 'provider', id")


class EmbeddedConnectionRegistry:
    """One JSON document a connection, as Firestore holds it."""

    def __init__(self, engine: Engine) -> None:
        """engine: of the embedded runtime's own database."""
        self._engine = engine

    def get(self, connection_id: UUID) -> Connection | None:
        """Return the connection as it is now, disabled ones too, or None."""
        with database_errors(), self._engine.connect() as session:
            document = session.execute(GET, {"id": str(connection_id)}).scalar_one_or_none()
        return None if document is None else from_document(document)

    def put(self, connection: Connection) -> None:
        """Store the connection, over an earlier one of its id."""
        with database_errors(), self._engine.connect() as session:
            session.execute(
                PUT, {"id": str(connection.id), "document": orjson.dumps(asdict(connection)).decode()}
            )

    def list(self) -> list[Connection]:
        """Return all connections, by provider and id."""
        with database_errors(), self._engine.connect() as session:
            return [from_document(document) for document in session.execute(LIST).scalars()]


def from_document(document: Mapping[str, Any]) -> Connection:
    """Return the connection a stored document describes."""
    return Connection(
        **{**document, "id": UUID(document["id"]), "customer_id": UUID(document["customer_id"])},
    )
