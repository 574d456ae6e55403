"""`upstream dead-letters purge`: what letters held goes once they were dealt with long ago, and nothing else does."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.workspace import announce, withdraw
from shared.domain.events import Event, Outgoing
from shared.runtime.envelope import to_message
from shared.runtime.settings import to_environment

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

BODY = b"QUILLFEATHER"
LETTERS = """
SELECT id, body, state, code, reason, purged_by, purged_why, purged_at FROM dead_letters
WHERE customer_id = CAST(:c AS uuid) ORDER BY first_at
"""
AGED = """
UPDATE dead_letters SET state = :state, last_at = now() - make_interval(days => CAST(:days AS integer)),
    discarded_at = CASE WHEN :state = 'discarded' THEN now() - make_interval(days => CAST(:days AS integer)) END
WHERE id = CAST(:id AS uuid)
"""
REPLAY = """
INSERT INTO dead_letter_replays (id, dead_letter_id, customer_id, batch_id, event_id, replayed_by, why, outcome,
    edited_body, claimed_at, lease_expires_at)
SELECT gen_random_uuid(), id, customer_id, gen_random_uuid(), event_id, 'ada', 'fixed', :outcome, :body,
    now() - interval '60 days', now() - interval '60 days'
FROM dead_letters WHERE id = CAST(:id AS uuid)
"""


@pytest.fixture
def home(pipeline: "Pipeline") -> Iterator[Path]:
    runtime = pipeline.threaded.runtime
    environment = to_environment(runtime.settings)
    folder = runtime.settings.home
    announce(folder, url=runtime.url, host_pids=runtime.host_pids(), environment=environment, ready=True)
    yield folder
    withdraw(folder)


def purge(home: Path, *words: str) -> Any:  # noqa: ANN401 - JSON
    ran = CliRunner().invoke(app, ["dead-letters", "purge", *words, "--json", "--home", str(home)])
    assert ran.exit_code == 0, (ran.stdout, ran.stderr, ran.exception)
    return json.loads(ran.stdout)


class Letters:
    """Dead letters of a new customer."""

    def __init__(self, pipeline: "Pipeline") -> None:
        self.pipeline = pipeline
        self.customer = pipeline.customer()
        self.connection = pipeline.connection(self.customer)

    def add(self, state: str, *, days: int, outcome: str = "") -> str:
        """Return a letter that was dealt with so many days ago. outcome: of its replay, if there was one."""
        known = {row["id"] for row in self.all()}
        body = BODY + uuid4().hex.encode()
        assert self.pipeline.send(self.connection, body, content_type="text/plain").status == 202
        assert self.pipeline.drained()
        [letter] = [str(row["id"]) for row in self.all() if row["id"] not in known]
        self.pipeline.execute(AGED, id=letter, state=state, days=days)
        if outcome:
            self.pipeline.execute(REPLAY, id=letter, outcome=outcome, body=BODY)
        return letter

    def all(self) -> list[Any]:
        return list(self.pipeline.rows(LETTERS, c=str(self.customer)))

    def emptied(self) -> set[str]:
        return {str(row["id"]) for row in self.all() if not row["body"]}


def test_what_was_dealt_with_long_ago_is_emptied_and_keeps_why_it_failed(
    pipeline: "Pipeline", home: Path
) -> None:
    letters = Letters(pipeline)
    discarded = letters.add("discarded", days=31)
    replayed = letters.add("replayed", days=31, outcome="processed")
    letters.add("discarded", days=29)
    letters.add("open", days=90)
    letters.add("replayed", days=31, outcome="published")
    before = purge(home)
    assert before["dry_run"] is True
    assert before["would_purge"] >= 2
    assert letters.emptied() == set()
    done = purge(home, "--yes", "--why", "30 days are over", "--by", "ada")
    assert done == {"dry_run": False, "purged": before["would_purge"]}
    assert letters.emptied() == {discarded, replayed}
    for row in letters.all():
        assert row["code"]
        assert row["reason"]
        purged = str(row["id"]) in {discarded, replayed}
        assert (row["purged_by"], row["purged_why"]) == (("ada", "30 days are over") if purged else ("", ""))
    edited = pipeline.rows(
        "SELECT edited_body FROM dead_letter_replays WHERE dead_letter_id = CAST(:id AS uuid)", id=replayed
    )
    assert [row["edited_body"] for row in edited] == [None]
    assert purge(home, "--yes", "--why", "again") == {"dry_run": False, "purged": 0}


def test_a_late_copy_of_the_failure_does_not_bring_the_body_back(pipeline: "Pipeline", home: Path) -> None:
    letters = Letters(pipeline)
    letter = letters.add("discarded", days=31)
    purge(home, "--yes", "--why", "30 days are over")
    [row] = pipeline.rows("SELECT * FROM dead_letters WHERE id = CAST(:id AS uuid)", id=letter)
    headers = {name: value for name, value in row["attributes"].items() if name != "Content-Type"}
    reply = pipeline.post("/functions/record_dead_letter", BODY, {**headers, "Content-Type": "text/plain"})
    assert reply.status < 300
    assert letters.emptied() == {letter}


def test_a_payer_that_sends_it_anew_opens_the_letter_again_with_its_body(
    pipeline: "Pipeline", home: Path
) -> None:
    letters = Letters(pipeline)
    letter = letters.add("discarded", days=31)
    purge(home, "--yes", "--why", "30 days are over")
    [row] = pipeline.rows("SELECT event_id FROM dead_letters WHERE id = CAST(:id AS uuid)", id=letter)
    source = f"/connections/{letters.connection.id}"
    event = Event(
        id=row["event_id"],
        type="webhook.received",
        source=source,
        subject=source[1:],
        time=datetime.now(UTC),
        customer_id=letters.customer,
        data=BODY,
        content_type="text/plain",
        extensions={"connectionid": str(letters.connection.id), "payloadformat": "auto"},
    )
    message = to_message(Outgoing("webhook-events", event))
    asyncio.run(pipeline.app.publisher.publish([message], timeout_s=10))
    assert pipeline.drained()
    [found] = letters.all()
    assert (bytes(found["body"]), found["state"], found["purged_at"]) == (BODY, "open", None)


def test_it_asks_for_a_reason(home: Path) -> None:
    ran = CliRunner().invoke(app, ["dead-letters", "purge", "--yes", "--home", str(home)])
    assert ran.exit_code == 2
    assert "--why" in ran.stderr
