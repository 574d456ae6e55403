"""What a payer sees of `receive_webhook`, over HTTP."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from shared.runtime.settings import MAX_BODY_BYTES, MAX_INLINE_BYTES
from tests.functional.letters import advice

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

Headers = Mapping[str, Any]
MARKED_WITHIN_S = 10.0
UNSTABLE = {"date", "x-ratelimit-remaining"}


def test_a_delivery_is_accepted_and_its_duplicate_gets_the_first_answer(pipeline: "Pipeline") -> None:
    connection = pipeline.connection()
    first = pipeline.send(connection, b"ISA", delivery_id="d-1")
    assert (first.status, first.body["status"]) == (202, "accepted")
    # The key is marked after the reply. A copy that is here before it is accepted, and the next hop drops it.
    deadline = time.monotonic() + MARKED_WITHIN_S
    while (again := pipeline.send(connection, b"ISA", delivery_id="d-1")).status == 202:
        assert time.monotonic() < deadline
    assert (again.status, again.body["status"]) == (200, "duplicate")
    assert {**again.body, "status": ""} == {**first.body, "status": ""}


def test_the_same_key_with_another_body_is_refused(pipeline: "Pipeline") -> None:
    connection = pipeline.connection()
    pipeline.send(connection, b"ISA one", delivery_id="d-2")
    reply = pipeline.send(connection, b"ISA two", delivery_id="d-2")
    assert (reply.status, reply.body["code"]) == (422, "key_reused")


@pytest.mark.parametrize("padding", [0, MAX_INLINE_BYTES])
def test_a_delivery_id_that_comes_again_after_its_key_expired_loses_nothing(
    pipeline: "Pipeline", padding: int
) -> None:
    connection = pipeline.connection()
    bodies = [advice(number) + b"\n" * padding for number in ("KEY1", "KEY2", "KEY2")]
    replies = []
    for body in bodies:
        replies.append(pipeline.send(connection, body, delivery_id="remit-0001"))
        assert pipeline.drained()
        with pipeline.app.local_engine.begin() as session:
            session.exec_driver_sql("UPDATE keys SET expires_at = now() - interval '1 second'")
    assert [reply.status for reply in replies] == [202] * 3
    first, second, again = [reply.body["event_id"] for reply in replies]
    assert first != second == again
    stored = pipeline.rows(
        "SELECT claim_number FROM claims WHERE customer_id = CAST(:id AS uuid) ORDER BY 1",
        id=str(connection.customer_id),
    )
    assert [row["claim_number"] for row in stored] == ["KEY1", "KEY2"]
    assert pipeline.rows("SELECT 1 FROM dead_letters WHERE connection_id = :id", id=connection.id) == []


def test_an_unknown_connection_cannot_be_told_from_a_bad_signature(pipeline: "Pipeline") -> None:
    known = pipeline.connection()
    disabled = pipeline.connection(enabled=False)
    headers = {
        "webhook-id": "d-3",
        "webhook-timestamp": str(int(datetime.now(UTC).timestamp())),
        "webhook-signature": "v1,AAAA",
        "Content-Type": "application/json",
    }
    paths = [
        f"/v1/webhooks/acme/{known.id}",
        f"/v1/webhooks/acme/{uuid4()}",
        f"/v1/webhooks/acme/{disabled.id}",
        f"/v1/webhooks/other/{known.id}",
        "/v1/webhooks/acme/not-a-uuid",
    ]
    replies = [pipeline.post(path, b"{}", headers) for path in paths]
    seen = {(r.status, str(r.body), str(sorted(_stable(r.headers).items()))) for r in replies}
    assert len(seen) == 1
    assert replies[0].status == 401
    assert replies[0].body["code"] == "invalid_signature"


def test_a_disabled_connection_refuses_what_is_signed_well(pipeline: "Pipeline") -> None:
    reply = pipeline.send(pipeline.connection(enabled=False), b"{}")
    assert (reply.status, reply.body["code"]) == (401, "invalid_signature")


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_timestamp_outside_the_tolerance_is_stale(pipeline: "Pipeline", minutes: int) -> None:
    now = datetime.now(UTC) + timedelta(minutes=minutes)
    reply = pipeline.send(pipeline.connection(), b"{}", now=now)
    assert (reply.status, reply.body["code"]) == (401, "stale_timestamp")


def test_thirty_two_mebibytes_pass_and_one_byte_more_does_not(pipeline: "Pipeline") -> None:
    connection = pipeline.connection()
    fits = pipeline.send(connection, b"x" * MAX_BODY_BYTES)
    too_large = pipeline.send(connection, b"x" * (MAX_BODY_BYTES + 1))
    assert fits.status == 202
    assert (too_large.status, too_large.body["code"]) == (413, "payload_too_large")


def test_a_chunked_body_is_bounded_as_well(pipeline: "Pipeline") -> None:
    path = f"/v1/webhooks/acme/{uuid4()}"
    answer = pipeline.session.post(
        pipeline.url + path,
        data=(b"x" * 1_048_576 for _ in range(33)),
        headers={"Content-Type": "application/json"},
        timeout=30,
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Type": "text/xml"}, 415, "unsupported_media_type"),
        ({"Content-Type": ""}, 415, "unsupported_media_type"),
        ({"Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
    ],
)
def test_other_media_are_refused(
    pipeline: "Pipeline", headers: Mapping[str, str], status: int, code: str
) -> None:
    reply = pipeline.send(pipeline.connection(), b"{}", headers=headers)
    assert (reply.status, reply.body["code"]) == (status, code)


def test_the_hundred_and_first_request_of_a_burst_is_told_to_wait(pipeline: "Pipeline") -> None:
    connection = pipeline.connection(rate_per_min=1, burst=100)  # nothing refills while a hundred are sent
    replies = [pipeline.send(connection, b"ISA") for _ in range(101)]
    assert [r.status for r in replies[:100]] == [202] * 100
    last = replies[100]
    assert (last.status, last.body["code"]) == (429, "rate_limited")
    assert 0 < int(last.headers["Retry-After"]) <= 60
    assert last.headers["X-RateLimit-Limit"] == "1"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/webhooks/acme/x", 405), ("POST", "/v2/webhooks/acme/x", 404), ("POST", "/", 404)],
)
def test_other_paths_and_methods_are_problems_too(
    pipeline: "Pipeline", method: str, path: str, status: int
) -> None:
    answer = pipeline.session.request(method, pipeline.url + path, timeout=10)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_both_signature_schemes_are_taken(pipeline: "Pipeline") -> None:
    connection = pipeline.connection(scheme="hmac-sha256-hex")
    assert pipeline.send(connection, b"ISA").status == 202


def test_every_function_answers_its_health_checks(pipeline: "Pipeline") -> None:
    for name in ("process_webhook", "apply_rules", "notify", "record_dead_letter", "receive_webhook"):
        live = pipeline.get(f"/functions/{name}/_health/live")
        ready = pipeline.get(f"/functions/{name}/_health/ready")
        assert (live.status, live.body) == (200, {"status": "live"})
        assert ready.status == 200
        assert set(ready.body["checks"]) == {"database", "idempotency_store", "broker"}


def _stable(headers: Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items() if name.lower() not in UNSTABLE}
