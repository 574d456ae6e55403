"""Who sent a delivery: checks payers' signatures, and makes them for senders. Pure: no I/O, the clock is an argument.

`standard-webhooks`
    Headers `webhook-id`, `webhook-timestamp`, `webhook-signature`. Signed is `{id}.{timestamp}.{body}`. A signature is
    `v1,` and base64; there may be several with a space between.
`hmac-sha256-hex`
    Headers `X-Idempotency-Key`, `X-Timestamp`, `X-Signature`. Signed is `{timestamp}.{key}.{body}`. The signature is
    hex, with or without `sha256=` before it.

Both are HMAC-SHA256 over raw bytes, with whole Unix seconds as timestamp. A delivery id holds no full stop, so that
signed content can be split in one way only: nobody can cut a signed delivery elsewhere and pass it for another.

Who did not sign learns nothing. A missing header, a wrong signature and an unknown connection are the same error after
the same work, and only a caller who signed is told that a timestamp is stale or an id malformed.

Source: Standard Webhooks 1.0.0, "Signature scheme" and "Webhook headers".
"""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.ports.connections import Scheme
from shared.runtime.errors import PoisonError
from shared.runtime.settings import SIGNATURE_TOLERANCE_S

MAX_SIGNATURES: Final = 16  # a rotation needs two; a list of a thousand must not cost a thousand comparisons
MIN_KEYS_TRIED: Final = 3  # none to three secrets, all that a store returns: a refusal takes the same time
DECOY_SECRET: Final = "whsec_" + "A" * 43 + "="

_DELIVERY_ID: Final = re.compile(r"[!-\-/-~]{1,256}")  # visible ASCII without the full stop
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class _Wire:
    """How one scheme looks on the wire. prefix: what is signed before the body, from delivery id and timestamp."""

    id_header: str
    timestamp_header: str
    signature_header: str
    prefix: Callable[[str, str], str]
    key: Callable[[bytes | str], bytes]
    encode: Callable[[bytes], bytes]
    label: str
    candidates: Callable[[str], list[bytes]]


def verify(
    scheme: Scheme,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[bytes | str],
    now: datetime,
) -> str:
    """Return the delivery id of what was signed with one of `secrets`, five minutes from `now` at most.

    headers: names in lower case. secrets: current first; none at all for an unknown or disabled connection, which is
    refused after the work of a wrong signature. An empty or undecodable secret never matches.
    Raises:
        PoisonError: `invalid_signature`, also when a header is missing. Told only to a caller who signed:
            `bad_request` (delivery id or timestamp out of bounds) and `stale_timestamp`. Refuse; store nothing.
    """
    wire = _WIRES[scheme]
    delivery_id = headers.get(wire.id_header, "")
    timestamp = headers.get(wire.timestamp_header, "")
    content = wire.prefix(delivery_id, timestamp).encode("utf-8", "backslashreplace") + body
    if not _is_signed(wire, content, headers.get(wire.signature_header, ""), secrets):
        raise PoisonError("invalid_signature")
    _check_bounds(delivery_id, timestamp)
    if abs(now.timestamp() - int(timestamp)) > SIGNATURE_TOLERANCE_S:
        raise PoisonError("stale_timestamp")
    return delivery_id


def sign(scheme: Scheme, delivery_id: str, body: bytes, secret: bytes | str, now: datetime) -> dict[str, str]:
    """Return the headers, in lower case, with which `verify` takes `body` as sent at `now`.

    Raises:
        ValueError: a delivery id that no receiver would take, or a secret that is empty or does not decode.
    """
    wire = _WIRES[scheme]
    key = wire.key(secret)
    if not key or not _DELIVERY_ID.fullmatch(delivery_id):
        raise ValueError("unusable secret or delivery id")
    timestamp = str(int(now.timestamp()))
    digest = hmac.digest(key, wire.prefix(delivery_id, timestamp).encode() + body, "sha256")
    return {
        wire.id_header: delivery_id,
        wire.timestamp_header: timestamp,
        wire.signature_header: wire.label + wire.encode(digest).decode(),
    }


def _is_signed(wire: _Wire, content: bytes, header: str, secrets: Sequence[bytes | str]) -> bool:
    """Compare every signature under every key. Only a match ends early, and who matches holds the secret."""
    candidates = wire.candidates(header)
    for position in range(max(len(secrets), MIN_KEYS_TRIED)):
        known = position < len(secrets)
        key = wire.key(secrets[position] if known else DECOY_SECRET)
        expected = wire.encode(hmac.digest(key, content, "sha256"))
        agreed = [hmac.compare_digest(expected, candidate) for candidate in candidates]
        if any(agreed) and known and key:
            return True
    return False


def _check_bounds(delivery_id: str, timestamp: str) -> None:
    if not _DELIVERY_ID.fullmatch(delivery_id) or not _TIMESTAMP.fullmatch(timestamp):
        raise PoisonError("bad_request", "delivery id or timestamp out of bounds")


def _raw_key(secret: bytes | str) -> bytes:
    return secret.encode() if isinstance(secret, str) else secret


def _standard_key(secret: bytes | str) -> bytes:
    """Return what follows `whsec_` decoded, or else the secret's own bytes; empty where it does not decode."""
    raw = _raw_key(secret)
    if not raw.startswith(b"whsec_"):
        return raw
    text = raw[6:].strip()
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return b""


def _standard_candidates(header: str) -> list[bytes]:
    """Return the `v1` signatures among the first `MAX_SIGNATURES`; the rest of a longer list is not read."""
    listed = header.split(" ", MAX_SIGNATURES)[:MAX_SIGNATURES]
    return [_comparable(item[3:]) for item in listed if item.startswith("v1,")]


def _hex_candidates(header: str) -> list[bytes]:
    return [_comparable(header.removeprefix("sha256=").lower())]


def _comparable(signature: str) -> bytes:
    """Return bytes for `compare_digest`, which takes no other text; `?` for non-ASCII is in no signature."""
    return signature.encode("ascii", "replace")


_WIRES: Final[Mapping[Scheme, _Wire]] = {
    "standard-webhooks": _Wire(
        id_header="webhook-id",
        timestamp_header="webhook-timestamp",
        signature_header="webhook-signature",
        prefix=lambda delivery_id, timestamp: f"{delivery_id}.{timestamp}.",
        key=_standard_key,
        encode=base64.b64encode,
        label="v1,",
        candidates=_standard_candidates,
    ),
    "hmac-sha256-hex": _Wire(
        id_header="x-idempotency-key",
        timestamp_header="x-timestamp",
        signature_header="x-signature",
        prefix=lambda delivery_id, timestamp: f"{timestamp}.{delivery_id}.",
        key=_raw_key,
        encode=binascii.hexlify,
        label="",
        candidates=_hex_candidates,
    ),
}
