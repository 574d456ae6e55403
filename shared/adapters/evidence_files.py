"""`EvidenceStore` in a local folder, readable by its owner only."""

import os
from pathlib import Path
from uuid import UUID

from shared.adapters.evidence_paths import path_of
from shared.ports.evidence import Piece
from shared.runtime.errors import PermanentError, TransientError


class FileEvidenceStore:
    """Files below one folder. An address is a path."""

    def __init__(self, folder: Path) -> None:
        """folder: made when the first piece is put."""
        self._folder = folder.absolute()

    def put(self, customer_id: UUID, action_id: UUID, attempt: int, piece: Piece, content: bytes) -> str:
        """Return the piece's address."""
        target = self._folder / path_of(customer_id, action_id, attempt, piece)
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = target.with_name(f".{target.name}.new")
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
            fresh.replace(target)
        except OSError as exc:
            raise TransientError("unavailable", f"evidence: {type(exc).__name__}") from exc
        return str(target)

    def get(self, address: str) -> bytes:
        """Return what is kept there."""
        path = Path(address)
        if not path.is_relative_to(self._folder) or ".." in path.parts:
            raise PermanentError("not_found", "no address of this store")
        try:
            return path.read_bytes()
        except FileNotFoundError as exc:
            raise PermanentError("not_found", "no such evidence") from exc
        except OSError as exc:
            raise TransientError("unavailable", f"evidence: {type(exc).__name__}") from exc
