"""`SecretStore` on Secret Manager."""

import time
from collections.abc import Iterator
from contextlib import suppress
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
    """Reads the newest versions. Nothing connects before the first call; safe to use from any thread.

    By their numbers, which count up from 1: a project may access 90,000 versions a minute, and list 600 times.

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
        """Return the newest versions that are enabled, newest first; empty if there is no such secret.

        Source: Secret Manager API, `AccessSecretVersion`: `latest` is the version created last, enabled or not.
        """
        if not NAME.fullmatch(name):
            return ()
        ends_at = time.monotonic() + TIMEOUT_S
        with google_errors("secrets"):
            try:
                number, newest = self._access(self._version(name, "latest"), ends_at)
                older = [self._version(name, str(n)) for n in range(number - 1, 0, -1)[: MAX_VERSIONS - 1]]
                return tuple(_texts(newest, *self._values(older, ends_at)))
            except FailedPrecondition:  # the newest is disabled
                return tuple(_texts(*self._values(self._enabled(name, ends_at), ends_at)))
            except NotFound:
                return ()

    def _version(self, name: str, number: str) -> str:
        return f"projects/{self._project_id}/secrets/{name}/versions/{number}"

    def _enabled(self, name: str, ends_at: float) -> list[str]:
        """Return the versions that are enabled. Source: `ListSecretVersionsResponse`: "in reverse by create_time"."""
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

    def _values(self, versions: list[str], ends_at: float) -> Iterator[bytes]:
        for version in versions:
            with suppress(FailedPrecondition, NotFound):  # disabled or destroyed
                yield self._access(version, ends_at)[1]

    def _access(self, version: str, ends_at: float) -> tuple[int, bytes]:
        """Return a version's number and what it holds."""
        left_s = _left_s(ends_at)
        answer = self._client.access_secret_version(
            request=AccessSecretVersionRequest(name=version), timeout=left_s, retry=blocking_retry(left_s)
        )
        return int(answer.name.rpartition("/")[2]), answer.payload.data


def _texts(*values: bytes) -> Iterator[str]:
    for value in values:
        with suppress(UnicodeDecodeError):  # not text, so nothing was ever signed with it
            yield value.decode()


def _left_s(ends_at: float) -> float:
    return max(ends_at - time.monotonic(), 0.001)
