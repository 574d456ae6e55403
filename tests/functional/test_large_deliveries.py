"""Deliveries over 256 KiB, and files of any size: stored apart, read whole, each set once."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.workspace import announce, withdraw
from shared.adapters.postgres.gathered import MOST_HELD
from shared.domain.events import Event, Received
from shared.handlers.process_webhook import process_webhook
from shared.ports.clock import system_clock
from shared.ports.record import Emitted
from shared.runtime.settings import MAX_INLINE_BYTES, to_environment
from tests.functional.test_any_order import advice, claim

if TYPE_CHECKING:
    from shared.ports.connections import Connection
    from tests.functional.conftest import Pipeline


CLAIMS = 30
PADDING = "REF*EA*0123456789012345678901234567890123456789~" * 200  # nothing that we keep


def large() -> bytes:
    numbers = [f"L{nth}" for nth in range(CLAIMS)]
    claims = [claim(number, "1", 100, 90, f"CAS*CO*45*10~{PADDING}") for number in numbers]
    return advice("BIG", "20261101", 90 * CLAIMS, claims)


def paid(pipeline: "Pipeline", connection: "Connection") -> tuple[int, int]:
    (row,) = pipeline.rows(
        "SELECT count(*) AS n, coalesce(sum(paid_cents), 0) AS cents FROM claim_payments"
        " WHERE customer_id = CAST(:c AS uuid)",
        c=str(connection.customer_id),
    )
    return row["n"], row["cents"]


def test_a_large_delivery_is_kept_apart_and_read_whole(pipeline: "Pipeline") -> None:
    connection, body = pipeline.connection(), large()
    assert len(body) > MAX_INLINE_BYTES
    sent = [pipeline.send(connection, body, delivery_id="big") for _ in range(2)]
    assert [reply.status for reply in sent] in ([202, 200], [202, 202])  # the key is marked after the reply
    assert pipeline.drained()
    assert paid(pipeline, connection) == (CLAIMS, CLAIMS * 9000)
    folder = pipeline.app.settings.home / "evidence" / "payloads" / str(connection.customer_id)
    kept = [path for path in folder.rglob("*") if path.is_file()]
    name = f"{sent[0].body['event_id']}/0-{sha256(body).hexdigest()}"
    assert [path.relative_to(folder).as_posix() for path in kept] == [name]
    assert kept[0].read_bytes() == body


def test_one_whose_payload_has_gone_is_said_to_have_none(pipeline: "Pipeline") -> None:
    connection, body = pipeline.connection(), large()
    assert pipeline.send(connection, body).status == 202
    assert pipeline.drained()
    folder = pipeline.app.settings.home / "evidence" / "payloads" / str(connection.customer_id)
    [path] = [path for path in folder.rglob("*") if path.is_file()]
    path.unlink()
    with pytest.raises(Exception, match="not where its event says"):
        pipeline.app.payloads.get(str(path))


def taken(
    pipeline: "Pipeline", connection: "Connection", many: int
) -> tuple[Event, Callable[[], Sequence[Emitted]]]:
    """Return the event of an advice of so many claims, and what takes it as `process_webhook` does."""
    claims = [claim(f"M{nth}", "1", 100, 90, "CAS*CO*45*10~") for nth in range(many)]
    body = advice("MANY", "20261101", 90 * many, claims)
    event = Event(uuid4(), "webhook.received", "/tests", "", datetime.now(UTC), connection.customer_id, body)
    received = Received(event, attempt=1, subscription="", attributes={})
    return event, partial(
        process_webhook,
        [received],
        record=pipeline.app.record,
        payloads=pipeline.app.payloads,
        clock=system_clock,
    )


def test_what_a_file_of_many_claims_causes_is_held_a_part_at_a_time(pipeline: "Pipeline") -> None:
    record, connection = pipeline.app.record, pipeline.connection()
    customer_id = connection.customer_id
    event, handle = taken(pipeline, connection, 2 * MOST_HELD + 1)
    [first] = handle()
    assert (len(first.messages), first.more_of) == (MOST_HELD, event.id)
    record.mark_published([first])
    [second] = handle()  # a redelivery: what is marked is not published again
    assert (len(second.messages), second.more_of) == (MOST_HELD, event.id)
    assert not {*first.ids} & {*second.ids}
    record.mark_published([second])
    last = record.unpublished("process_webhook", event.id, customer_id=customer_id)
    assert (len(last.messages), last.more_of) == (1, None)
    record.mark_published([last])
    assert record.unpublished("process_webhook", event.id, customer_id=customer_id).messages == ()
    theirs = record.unpublished("process_webhook", event.id, customer_id=pipeline.customer())
    assert theirs.messages == ()


@pytest.mark.slow
def test_a_file_of_eight_thousand_claims_is_stored_within_a_statements_deadline(pipeline: "Pipeline") -> None:
    connection, many = pipeline.connection(), 8_000
    _, handle = taken(pipeline, connection, many)
    handle()
    assert paid(pipeline, connection) == (many, many * 9000)
    [sums] = pipeline.rows(
        "SELECT sum(decided) AS decided, sum(paid_cents) AS cents FROM claim_daily_stats"
        " WHERE customer_id = CAST(:c AS uuid)",
        c=str(connection.customer_id),
    )
    assert (sums["decided"], sums["cents"]) == (many, many * 9000)


@pytest.fixture
def home(pipeline: "Pipeline") -> Iterator[Path]:
    settings = pipeline.app.settings
    announce(settings.home, url=pipeline.url, host_pids=(), environment=to_environment(settings), ready=True)
    yield settings.home
    withdraw(settings.home)


def run_import(file: Path, connection: "Connection", home: Path) -> tuple[int, dict[str, Any]]:
    asked = ["import", str(file), "--connection", str(connection.id), "--home", str(home), "--json"]
    result = CliRunner().invoke(app, asked)
    return result.exit_code, json.loads(result.stdout)


def test_an_import_takes_each_set_once_however_often_it_is_run(
    pipeline: "Pipeline", home: Path, tmp_path: Path
) -> None:
    connection = pipeline.connection()
    whole = b"".join(
        [
            advice("F1", "20261101", 90, [claim("F1", "1", 100, 90, "CAS*CO*45*10~")]),
            large(),
            advice("F3", "20261102", 80, [claim("F3", "1", 100, 80, "CAS*CO*45*20~")]),
        ]
    )
    file = tmp_path / "drop.835"
    file.write_bytes(whole[:-100])  # cut off in the third set
    code, first = run_import(file, connection, home)
    assert (code, len(first["sets"]), "ISA[3]" in first["failure"]) == (1, 2, True)
    file.write_bytes(whole)
    code, second = run_import(file, connection, home)
    assert (code, [one["repeat"] for one in second["sets"]], second["failure"]) == (
        0,
        [True, True, False],
        "",
    )
    code, third = run_import(file, connection, home)
    assert (code, [one["repeat"] for one in third["sets"]]) == (0, [True, True, True])
    assert pipeline.drained()
    assert paid(pipeline, connection) == (CLAIMS + 2, CLAIMS * 9000 + 9000 + 8000)
