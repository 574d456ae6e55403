import base64
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from shared.ports.connections import Scheme
from shared.runtime import signatures
from shared.runtime.errors import PoisonError
from shared.runtime.signatures import sign, verify

FIXTURES = Path(__file__).parents[1] / "fixtures" / "signatures"
VECTOR: dict[str, Any] = json.loads((FIXTURES / "standard-webhooks__signature-vector.json").read_text())
VECTOR_AT = datetime.fromtimestamp(int(VECTOR["headers"]["webhook-timestamp"]), UTC)

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
BODY = b'{"claim": 1}'
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
HEADERS = (
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "x-idempotency-key",
    "x-timestamp",
    "x-signature",
)
SIGNATURE_HEADER: Mapping[Scheme, str] = {
    "standard-webhooks": "webhook-signature",
    "hmac-sha256-hex": "x-signature",
}
every_scheme = pytest.mark.parametrize("scheme", SCHEMES)


def refusal(call: Callable[[], str]) -> str:
    with pytest.raises(PoisonError) as refused:
        call()
    return refused.value.code


def signed(scheme: Scheme, delivery_id: str, timestamp: str, key: bytes = b"topsecret") -> dict[str, str]:
    """Headers that are correctly signed, whatever they say; worked out without the code under test."""
    if scheme == "standard-webhooks":
        digest = hmac.new(key, f"{delivery_id}.{timestamp}.".encode() + BODY, hashlib.sha256).digest()
        values = (delivery_id, timestamp, "v1," + base64.b64encode(digest).decode())
        return dict(zip(HEADERS[:3], values, strict=True))
    hexadecimal = hmac.new(key, f"{timestamp}.{delivery_id}.".encode() + BODY, hashlib.sha256).hexdigest()
    return dict(zip(HEADERS[3:], (delivery_id, timestamp, hexadecimal), strict=True))


# The public vectors.


def verify_vector(header: str) -> str:
    headers = VECTOR["headers"] | {"webhook-signature": header}
    return verify("standard-webhooks", headers, VECTOR["body"].encode(), [VECTOR["secret"]], VECTOR_AT)


def test_the_published_vector_is_accepted() -> None:
    assert verify_vector(VECTOR["headers"]["webhook-signature"]) == VECTOR["headers"]["webhook-id"]


@pytest.mark.parametrize("headers", VECTOR["must_also_accept"])
def test_a_list_with_one_good_signature_is_accepted(headers: dict[str, str]) -> None:
    assert verify_vector(headers["webhook-signature"]) == VECTOR["headers"]["webhook-id"]


@pytest.mark.parametrize("headers", VECTOR["must_refuse"])
def test_the_published_forgeries_are_refused(headers: dict[str, str]) -> None:
    assert refusal(lambda: verify_vector(headers["webhook-signature"])) == "invalid_signature"


def test_we_sign_what_the_vector_says() -> None:
    headers = VECTOR["headers"]
    made = sign(
        "standard-webhooks", headers["webhook-id"], VECTOR["body"].encode(), VECTOR["secret"], VECTOR_AT
    )
    assert made == headers


# The other implementation.


def test_the_standardwebhooks_package_takes_what_we_sign() -> None:
    headers = sign("standard-webhooks", "msg_1", BODY, SECRET, datetime.now(UTC))
    assert Webhook(SECRET).verify(BODY, headers) == {"claim": 1}


@given(body=st.text(), key=st.binary(min_size=1, max_size=80))
def test_we_take_what_the_standardwebhooks_package_signs(body: str, key: bytes) -> None:
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": Webhook(key).sign("msg_1", NOW, body),
    }
    secret = "whsec_" + base64.b64encode(key).decode()
    assert verify("standard-webhooks", headers, body.encode(), [secret], NOW) == "msg_1"


def test_hex_signature_is_hmac_of_timestamp_key_and_body() -> None:
    # printf '1772443800.evt-7.{"claim": 1}' | openssl dgst -sha256 -hmac topsecret
    expected = "bac788ed756b8f8b8e9147c355581e0c96d24fd01ab953a2d360ccf0f1d8282b"
    headers = sign("hmac-sha256-hex", "evt-7", BODY, "topsecret", NOW)
    assert headers == {"x-idempotency-key": "evt-7", "x-timestamp": "1772443800", "x-signature": expected}


# What is accepted.


@every_scheme
def test_what_was_signed_verifies(scheme: Scheme) -> None:
    headers = sign(scheme, "evt-1", BODY, SECRET, NOW)
    assert verify(scheme, headers, BODY, [SECRET], NOW) == "evt-1"
    assert verify(scheme, headers, BODY, [SECRET.encode()], NOW) == "evt-1"


@every_scheme
@pytest.mark.parametrize("secrets", [["old", "new"], ["new", "old"], ["a", "b", "old"]])
def test_any_of_our_secrets_will_do_while_one_is_rotated(scheme: Scheme, secrets: list[str]) -> None:
    headers = sign(scheme, "evt-1", BODY, "old", NOW)
    assert verify(scheme, headers, BODY, secrets, NOW) == "evt-1"


@every_scheme
@pytest.mark.parametrize("off_s", [-300, 0, 300])
def test_the_edge_of_the_tolerance_is_inside(scheme: Scheme, off_s: int) -> None:
    headers = sign(scheme, "evt-1", BODY, SECRET, NOW + timedelta(seconds=off_s))
    assert verify(scheme, headers, BODY, [SECRET], NOW) == "evt-1"


@pytest.mark.parametrize("change", [str.upper, lambda text: "sha256=" + text])
def test_hex_may_be_upper_case_or_prefixed(change: Callable[[str], str]) -> None:
    headers = sign("hmac-sha256-hex", "evt-1", BODY, SECRET, NOW)
    headers["x-signature"] = change(headers["x-signature"])
    assert verify("hmac-sha256-hex", headers, BODY, [SECRET], NOW) == "evt-1"


def test_a_secret_may_lack_its_padding_and_end_in_a_newline() -> None:
    headers = sign("standard-webhooks", "evt-1", BODY, "whsec_c2VjcmV0cw==", NOW)
    assert verify("standard-webhooks", headers, BODY, [b"whsec_c2VjcmV0cw\n"], NOW) == "evt-1"


# What is refused.


@pytest.mark.parametrize(
    ("scheme", "header"),
    [("standard-webhooks", name) for name in HEADERS[:3]]
    + [("hmac-sha256-hex", name) for name in HEADERS[3:]],
)
def test_a_missing_header_looks_like_a_wrong_signature(scheme: Scheme, header: str) -> None:
    headers = sign(scheme, "evt-1", BODY, SECRET, NOW)
    del headers[header]
    assert refusal(lambda: verify(scheme, headers, BODY, [SECRET], NOW)) == "invalid_signature"


@every_scheme
@pytest.mark.parametrize("part", ["body", "id", "timestamp", "secret"])
def test_changing_any_signed_part_is_refused(scheme: Scheme, part: str) -> None:
    headers = sign(scheme, "evt-1", BODY, SECRET, NOW)
    body, secret = BODY, SECRET
    match part:
        case "body":
            body += b" "
        case "id":
            headers = {name: value.replace("evt-1", "evt-2") for name, value in headers.items()}
        case "timestamp":
            headers = {name: value.replace("1772443800", "1772443801") for name, value in headers.items()}
        case _:
            secret = "another"
    assert refusal(lambda: verify(scheme, headers, body, [secret], NOW)) == "invalid_signature"


@every_scheme
@pytest.mark.parametrize("off_s", [-301, 301, -86_400 * 365, 86_400 * 365])
def test_old_and_future_timestamps_are_stale_to_a_caller_who_signed(scheme: Scheme, off_s: int) -> None:
    headers = sign(scheme, "evt-1", BODY, SECRET, NOW + timedelta(seconds=off_s))
    assert refusal(lambda: verify(scheme, headers, BODY, [SECRET], NOW)) == "stale_timestamp"


@every_scheme
def test_a_caller_who_did_not_sign_is_not_told_that_the_timestamp_is_stale(scheme: Scheme) -> None:
    headers = sign(scheme, "evt-1", BODY, "another", NOW - timedelta(days=1))
    assert refusal(lambda: verify(scheme, headers, BODY, [SECRET], NOW)) == "invalid_signature"


BAD_IDS = ["", "é", "a b", "a\tb", "a.b", "x" * 257, "\x7f", "a\n"]


@every_scheme
@pytest.mark.parametrize("delivery_id", BAD_IDS)
def test_a_signed_delivery_id_out_of_bounds_is_a_bad_request(scheme: Scheme, delivery_id: str) -> None:
    headers = signed(scheme, delivery_id, "1772443800")
    assert refusal(lambda: verify(scheme, headers, BODY, [b"topsecret"], NOW)) == "bad_request"


@every_scheme
@pytest.mark.parametrize("timestamp", ["", "now", "-1", "1.5", "1e9", "٣", "1" * 13, "1772443800 ", "1_0"])
def test_a_signed_timestamp_that_is_no_whole_seconds_is_a_bad_request(scheme: Scheme, timestamp: str) -> None:
    headers = signed(scheme, "evt-1", timestamp)
    assert refusal(lambda: verify(scheme, headers, BODY, [b"topsecret"], NOW)) == "bad_request"


@every_scheme
@pytest.mark.parametrize("secrets", [[], [""], [b""]])
@pytest.mark.parametrize("key", [b"", signatures.DECOY_SECRET.encode(), bytes(32)])
def test_without_a_usable_secret_nothing_verifies(
    scheme: Scheme, secrets: list[str | bytes], key: bytes
) -> None:
    headers = signed(scheme, "evt-1", "1772443800", key)
    assert refusal(lambda: verify(scheme, headers, BODY, secrets, NOW)) == "invalid_signature"


@pytest.mark.parametrize("broken", ["whsec_", "whsec_!!!", "whsec_A", "whsec_é"])
def test_a_secret_that_does_not_decode_never_matches(broken: str) -> None:
    headers = signed("standard-webhooks", "evt-1", "1772443800", b"")
    assert refusal(lambda: verify("standard-webhooks", headers, BODY, [broken], NOW)) == "invalid_signature"
    headers = signed("standard-webhooks", "evt-1", "1772443800")
    assert verify("standard-webhooks", headers, BODY, [broken, "topsecret"], NOW) == "evt-1"


def test_only_the_first_sixteen_signatures_are_read() -> None:
    headers = sign("standard-webhooks", "evt-1", BODY, SECRET, NOW)
    good = headers["webhook-signature"]
    headers["webhook-signature"] = "v1,AAAA " * 15 + good
    assert verify("standard-webhooks", headers, BODY, [SECRET], NOW) == "evt-1"
    headers["webhook-signature"] = "v1,AAAA " * 16 + good
    assert refusal(lambda: verify("standard-webhooks", headers, BODY, [SECRET], NOW)) == "invalid_signature"


def test_a_delivery_id_with_a_full_stop_is_refused_because_it_could_be_cut_elsewhere() -> None:
    honest = signed("standard-webhooks", "a.1772443800", "1772443801")
    recut = honest | {"webhook-id": "a", "webhook-timestamp": "1772443800"}
    assert verify("standard-webhooks", recut, b"1772443801." + BODY, ["topsecret"], NOW) == "a"
    assert refusal(lambda: verify("standard-webhooks", honest, BODY, ["topsecret"], NOW)) == "bad_request"


@every_scheme
def test_sign_refuses_what_no_receiver_would_take(scheme: Scheme) -> None:
    for delivery_id in BAD_IDS:
        with pytest.raises(ValueError, match="unusable"):
            sign(scheme, delivery_id, BODY, SECRET, NOW)
    with pytest.raises(ValueError, match="unusable"):
        sign(scheme, "evt-1", BODY, "", NOW)


# Any input at all.


@given(
    scheme=st.sampled_from(SCHEMES),
    headers=st.dictionaries(st.sampled_from(HEADERS), st.text(st.characters(), max_size=80)),
    body=st.binary(max_size=200),
    secrets=st.lists(st.text(max_size=40) | st.binary(max_size=40), max_size=3),
)
def test_verify_returns_or_raises_poison(
    scheme: Scheme, headers: dict[str, str], body: bytes, secrets: list[str | bytes]
) -> None:
    try:
        accepted = verify(scheme, headers, body, secrets, NOW)
    except PoisonError as refused:
        outcome: str = refused.code
    else:
        outcome = accepted
    assert outcome in {"invalid_signature", "stale_timestamp", "bad_request"}


@given(
    scheme=st.sampled_from(SCHEMES),
    body=st.binary(max_size=200),
    secret=st.binary(min_size=1, max_size=80),
    delivery_id=st.text(
        st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="."), min_size=1
    ),
    off_s=st.integers(-300, 300),
)
def test_every_delivery_that_can_be_signed_verifies(
    scheme: Scheme, body: bytes, secret: bytes, delivery_id: str, off_s: int
) -> None:
    if scheme == "standard-webhooks" and not signatures._standard_key(secret):
        return
    headers = sign(scheme, delivery_id[:256], body, secret, NOW + timedelta(seconds=off_s))
    assert verify(scheme, headers, body, [secret], NOW) == delivery_id[:256]


@given(header=st.text(st.characters(categories=None), max_size=120), scheme=st.sampled_from(SCHEMES))
def test_any_signature_text_is_refused_quietly(header: str, scheme: Scheme) -> None:
    headers = sign(scheme, "evt-1", BODY, SECRET, NOW) | {SIGNATURE_HEADER[scheme]: header}
    assert refusal(lambda: verify(scheme, headers, BODY, [SECRET], NOW)) == "invalid_signature"


# Time.


def cost_s(call: Callable[[], object]) -> float:
    """The best of many runs: what the call costs, without what else the machine was doing."""

    def once() -> float:
        started = time.perf_counter()
        with contextlib.suppress(PoisonError):
            call()
        return time.perf_counter() - started

    return min(once() for _ in range(300))


def test_a_thousand_signatures_cost_little_more_than_sixteen() -> None:
    headers = sign("standard-webhooks", "evt-1", BODY, SECRET, NOW)
    few = headers | {"webhook-signature": " ".join(["v1," + "A" * 44] * 16)}
    many = headers | {"webhook-signature": " ".join(["v1," + "A" * 44] * 1000)}
    few_s = cost_s(lambda: verify("standard-webhooks", few, BODY, [SECRET], NOW))
    many_s = cost_s(lambda: verify("standard-webhooks", many, BODY, [SECRET], NOW))
    assert many_s < few_s * 3


@every_scheme
def test_unknown_disabled_and_badly_signed_cost_the_same(scheme: Scheme) -> None:
    body = bytes(1 << 16)
    headers = sign(scheme, "evt-1", body, "another", NOW)
    unknown_s = cost_s(lambda: verify("standard-webhooks", headers, body, [], NOW))
    badly_signed_s = cost_s(lambda: verify(scheme, headers, body, [SECRET], NOW))
    rotating_s = cost_s(lambda: verify(scheme, headers, body, [SECRET, "old"], NOW))
    assert badly_signed_s == pytest.approx(unknown_s, rel=0.5)
    assert rotating_s == pytest.approx(unknown_s, rel=0.5)
