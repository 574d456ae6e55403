"""Tokens that a key of ours signed, and certificates served on loopback: Google's client checks them as its own."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from google.auth import crypt, jwt

from shared.adapters.embedded.callers import SecretCallerVerifier, local_token
from shared.adapters.embedded.secrets import FileSecretStore
from shared.adapters.google_oidc import GoogleCallerVerifier
from shared.runtime.errors import PoisonError, TransientError

AUDIENCE = "https://build-risk-baselines.example"
EMAIL = "cron-build-risk-baselines@project.iam.gserviceaccount.com"


@dataclass
class Issuer:
    """Signs as Google does, and serves its certificates."""

    key_id: str = "one"
    key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    url: str = ""

    def certificate(self) -> str:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer.example")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode()

    def token(self, **changes: object) -> str:
        now = int(datetime.now(UTC).timestamp())
        claims = {
            "iss": "https://accounts.google.com", "aud": AUDIENCE, "email": EMAIL, "email_verified": True, "sub": "1",
            "iat": now - 5, "exp": now + 600, **changes,
        }  # fmt: skip
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        signer: Any = crypt.RSASigner.from_string(pem, key_id=self.key_id)  # type: ignore[no-untyped-call]
        token: bytes = jwt.encode(signer, claims)  # type: ignore[no-untyped-call]
        return token.decode()


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    served = json.dumps({issuer.key_id: issuer.certificate()}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(served)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}/certs"
    yield issuer
    server.shutdown()
    server.server_close()


@pytest.fixture
def verifier(issuer: Issuer) -> GoogleCallerVerifier:
    return GoogleCallerVerifier(audience=AUDIENCE, email=EMAIL, certificates_url=issuer.url)


def bearing(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_the_scheduler_is_let_in(issuer: Issuer, verifier: GoogleCallerVerifier) -> None:
    verifier.verify(bearing(issuer.token()))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://another.example"},
        {"email": "somebody@project.iam.gserviceaccount.com"},
        {"email_verified": False},
        {"email_verified": "true"},
        {"iss": "https://issuer.example"},
        {"exp": int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())},
        {"iat": int(datetime(2199, 1, 1, tzinfo=UTC).timestamp())},
    ],
    ids=str,
)
def test_a_token_for_anything_else_is_refused(
    issuer: Issuer, verifier: GoogleCallerVerifier, changes: dict[str, object]
) -> None:
    with pytest.raises(PoisonError) as refused:
        verifier.verify(bearing(issuer.token(**changes)))
    assert refused.value.code == "invalid_signature"
    assert "@" not in refused.value.detail


def test_a_token_that_somebody_else_signed_is_refused(verifier: GoogleCallerVerifier) -> None:
    for key_id in ("one", "unknown"):
        with pytest.raises(PoisonError):
            verifier.verify(bearing(Issuer(key_id=key_id).token()))


def test_a_token_that_was_changed_is_refused(issuer: Issuer, verifier: GoogleCallerVerifier) -> None:
    head, _, signature = issuer.token().split(".")
    _, claims, _ = issuer.token(email="root@example.org").split(".")  # fmt: skip
    with pytest.raises(PoisonError):
        verifier.verify(bearing(f"{head}.{claims}.{signature}"))


@pytest.mark.parametrize(
    "headers",
    [{}]
    + [
        {"authorization": sent}
        for sent in ("", "Basic eDp5", "Bearer ", "Bearer x", "Bearer é", "Bearer " + "x" * 9_000)
    ],
    ids=range(7),
)
def test_what_is_no_token_is_refused(verifier: GoogleCallerVerifier, headers: dict[str, str]) -> None:
    with pytest.raises(PoisonError):
        verifier.verify(headers)


def test_without_certificates_nothing_is_decided(issuer: Issuer) -> None:
    nowhere = GoogleCallerVerifier(
        audience=AUDIENCE, email=EMAIL, certificates_url="http://127.0.0.1:9/certs"
    )
    with pytest.raises(TransientError):
        nowhere.verify(bearing(issuer.token()))


@pytest.mark.parametrize(("audience", "email"), [("", EMAIL), (AUDIENCE, "")])
def test_a_verifier_that_would_let_everybody_in_is_not_built(audience: str, email: str) -> None:
    with pytest.raises(ValueError, match="not set"):
        GoogleCallerVerifier(audience=audience, email=email)


def test_the_local_scheduler_bears_a_secret_of_the_home_folder(tmp_path: Any) -> None:  # noqa: ANN401 - pytest's path
    store = FileSecretStore(tmp_path)
    local = SecretCallerVerifier(store)
    with pytest.raises(PoisonError):
        local.verify(bearing(""))  # before there is a secret, nobody has it
    token = local_token(store)
    assert local_token(store) == token
    local.verify(bearing(token))
    for other in ("", "x", token + "x", token[:-1]):
        with pytest.raises(PoisonError):
            local.verify(bearing(other))
