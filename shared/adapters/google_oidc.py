"""`CallerVerifier` for Cloud Scheduler: an OIDC token that Google signed, for us, as the scheduler's service account.

Source: Cloud Scheduler, "Use authentication with HTTP targets"; OpenID Connect Core 1.0, section 3.1.3.7.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from google.auth.exceptions import GoogleAuthError, TransportError

from shared.runtime.errors import PoisonError, TransientError

if TYPE_CHECKING:
    from google.auth.transport.requests import Request

CERTIFICATES: Final = "https://www.googleapis.com/oauth2/v1/certs"
ISSUERS: Final = ("https://accounts.google.com", "accounts.google.com")
CLOCK_SKEW_S: Final = 10
MAX_TOKEN: Final = 8_192


class GoogleCallerVerifier:
    """Checks signature, time, issuer, audience and account. Google's certificates are fetched when first needed."""

    def __init__(self, *, audience: str, email: str, certificates_url: str = CERTIFICATES) -> None:
        """audience: what the scheduler was told to ask a token for. email: its service account's.

        Raises:
            ValueError: one of them is empty; then everybody would do.
        """
        if not audience or not email:
            raise ValueError("UPSTREAM_SCHEDULER_AUDIENCE and UPSTREAM_SCHEDULER_EMAIL are not set")
        self._audience = audience
        self._email = email
        self._certificates_url = certificates_url

    @cached_property
    def _request(self) -> "Request":
        from google.auth.transport.requests import Request

        return Request()

    def verify(self, headers: Mapping[str, str]) -> None:
        """Return if the bearer is the scheduler."""
        claims = self._claims(bearer(headers))
        if claims.get("iss") not in ISSUERS:
            raise PoisonError("invalid_signature", "a token of another issuer")
        if claims.get("email") != self._email or claims.get("email_verified") is not True:
            raise PoisonError("invalid_signature", "a token of another account")

    def _claims(self, token: str) -> Mapping[str, Any]:
        from google.oauth2 import id_token

        try:
            claims: Mapping[str, Any] = id_token.verify_token(
                token,
                self._request,
                audience=self._audience,
                certs_url=self._certificates_url,
                clock_skew_in_seconds=CLOCK_SKEW_S,
            )
        except TransportError as exc:
            raise TransientError("unavailable", "certificates: TransportError") from exc
        except (GoogleAuthError, ValueError) as exc:
            raise PoisonError(
                "invalid_signature", f"a token that does not hold: {type(exc).__name__}"
            ) from exc
        return claims


def bearer(headers: Mapping[str, str]) -> str:
    """Return the token that a request bears.

    Raises:
        PoisonError: it bears none (`invalid_signature`).
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.isascii() or not 0 < len(token) <= MAX_TOKEN:
        raise PoisonError("invalid_signature", "no bearer token")
    return token
