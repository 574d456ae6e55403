"""`CallerVerifier` for this machine: the local scheduler bears a secret that only its owner can read."""

import hmac
import secrets
from collections.abc import Mapping
from typing import Final

from shared.adapters.embedded.secrets import FileSecretStore
from shared.runtime.errors import PoisonError

NAME: Final = "local-scheduler"


class SecretCallerVerifier:
    """Compares the bearer's token with the secret's versions."""

    def __init__(self, store: FileSecretStore) -> None:
        """store: of the home folder."""
        self._store = store

    def verify(self, headers: Mapping[str, str]) -> None:
        """Return if the bearer is the scheduler."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        known = self._store.versions(NAME)
        if scheme.lower() != "bearer" or not any(
            hmac.compare_digest(token.encode(), v.encode()) for v in known
        ):
            raise PoisonError("invalid_signature", "not the local scheduler")


def local_token(store: FileSecretStore) -> str:
    """Return what the local scheduler bears, made at its first use."""
    return store.ensure(NAME, secrets.token_urlsafe(32))
