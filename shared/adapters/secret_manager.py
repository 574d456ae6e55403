"""`SecretStore` on Secret Manager."""

import time
from collections.abc import Iterator
from functools import cached_property
from typing import Final

import grpc
from google.api_core.exceptions import FailedPrecondition, NotFound
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)
from google.cloud.secretmanager_v1.types import AccessSecretVersionRequest, ListSecretVersionsRequest

from shared.adapters.embedded.secrets import NAME
from shared.adapters.google_calls import blocking_retry, google_errors

MAX_VERSIONS: Final = 3  # current, the one before, and one that was added too early
TIMEOUT_S: Final = 5.0  # for all the calls of one look-up


class SecretManagerStore:
    """Reads the newest enabled versions. Nothing connects before the first call; safe to use from any thread.

    A missing grant is transient here, not "no such secret": payers must not be told for good that their signature is
    wrong because of our mistake. Where grants are given per secret, Secret Manager answers the same for a secret that
    does not exist, so `upstream-no-such-connection` must exist for unknown connections to be refused like any other.
    """

    def __init__(self, *, project_id: str, channel: grpc.Channel | None = None) -> None:
        """channel: replaces the connection to Google, for tests."""
        self._project_id = project_id
        self._channel = channel

    @cached_property
    def _client(self) -> SecretManagerServiceClient:
        if self._channel is None:
            return SecretManagerServiceClient()
        return SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=self._channel))

    def versions(self, name: str) -> tuple[str, ...]:
        """Return the newest enabled versions, newest first; empty if there is no such secret.

        Source: Secret Manager API, `ListSecretVersionsResponse.versions`: "sorted in reverse by create_time".
        """
        if not NAME.fullmatch(name):
            return ()
        ends_at = time.monotonic() + TIMEOUT_S
        with google_errors("secrets"):
            try:
                return tuple(self._values(self._enabled(name, ends_at), ends_at))
            except NotFound:
                return ()

    def _enabled(self, name: str, ends_at: float) -> list[str]:
        request = ListSecretVersionsRequest(
            parent=f"projects/{self._project_id}/secrets/{name}",
            filter="state:ENABLED",
            page_size=MAX_VERSIONS,
        )
        left_s = _left_s(ends_at)
        pages = self._client.list_secret_versions(
            request=request, timeout=left_s, retry=blocking_retry(left_s)
        ).pages
        return [version.name for version in next(iter(pages)).versions][:MAX_VERSIONS]

    def _values(self, versions: list[str], ends_at: float) -> Iterator[str]:
        for version in versions:
            left_s = _left_s(ends_at)
            try:
                answer = self._client.access_secret_version(
                    request=AccessSecretVersionRequest(name=version),
                    timeout=left_s,
                    retry=blocking_retry(left_s),
                )
                yield answer.payload.data.decode()
            except (FailedPrecondition, NotFound):
                continue  # disabled or destroyed since it was listed
            except UnicodeDecodeError:
                continue  # not text, so nothing was ever signed with it


def _left_s(ends_at: float) -> float:
    return max(ends_at - time.monotonic(), 0.001)
