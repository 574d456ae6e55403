"""What an action is about, read from the record when it is done: no patient data travels in messages."""

from typing import Protocol
from uuid import UUID

from shared.domain.cases import AuthorizationCase, ClaimCase


class CaseFiles(Protocol):
    """Blocks."""

    def claim(self, customer_id: UUID, claim_id: UUID) -> ClaimCase | None:
        """Return a claim as it stands now, or None if the customer has no such claim.

        Raises:
            TransientError: the record is away or busy.
        """
        ...

    def authorization(self, customer_id: UUID, authorization_id: UUID) -> AuthorizationCase | None:
        """Return an authorization with the treatment under it, or None.

        Raises:
            TransientError: the record is away or busy.
        """
        ...
