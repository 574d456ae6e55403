"""Who may fire a job."""

from collections.abc import Mapping
from typing import Protocol


class CallerVerifier(Protocol):
    """Says whether a request comes from the scheduler. Blocks: call it from a thread."""

    def verify(self, headers: Mapping[str, str]) -> None:
        """Return if it does. headers: lower-case names.

        Raises:
            PoisonError: it does not, or does not say so in a way that we trust (`invalid_signature`).
            TransientError: what it takes to tell is out of reach.
        """
        ...
