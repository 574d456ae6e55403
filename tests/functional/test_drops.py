"""Files that senders leave in a folder: each set of each once, whatever interrupts, and under the right connection."""

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.workspace import announce, withdraw
from shared.adapters.drop_folder import FolderDrops
from shared.handlers.import_file import Importer
from shared.handlers.take_drops import TakenDrop, take_drops
from shared.ports.connections import Connection
from shared.ports.publisher import Publisher
from shared.runtime.errors import TransientError
from shared.runtime.settings import to_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.domain.events import Message
    from tests.functional.conftest import Pipeline

SAMPLES = Path(__file__).parents[1] / "fixtures" / "webhooks" / "x12-835"
# Three interchanges of one transaction set each, as a clearinghouse bundles them.
BODY = b"\n".join(
    (SAMPLES / f"x12-types__X221-{name}.edi").read_bytes().strip()
    for name in (
        "claim-specific-negotiated-discount",
        "correcting-the-subscriber-example-1",
        "multiple-claims-single-check",
    )
)
SETS = 3


def leave(folder: Path, connection: Connection, name: str, body: bytes) -> Path:
    """Leave a file as a sender does."""
    place = folder / str(connection.id)
    place.mkdir(parents=True, exist_ok=True)
    path = place / name
    path.write_bytes(body)
    return path


def importer(pipeline: "Pipeline") -> Importer:
    parts = pipeline.app
    return Importer(keys=parts.keys, publisher=parts.publisher, payloads=parts.payloads, clock=parts.clock)


def take(pipeline: "Pipeline", folder: Path, *, using: Importer | None = None) -> list[TakenDrop]:
    drops = FolderDrops(folder, settle_s=0.0)
    return asyncio.run(
        take_drops(drops, connection_of=pipeline.app.registry.get, importer=using or importer(pipeline))
    )


def payments(pipeline: "Pipeline", connection: Connection) -> int:
    [row] = pipeline.rows(
        "SELECT count(*) AS n FROM claim_payments WHERE customer_id = CAST(:c AS uuid)",
        c=str(connection.customer_id),
    )
    return int(row["n"])


def test_a_file_that_was_left_goes_in_and_is_put_away(pipeline: "Pipeline", tmp_path: Path) -> None:
    connection, body = pipeline.connection(), BODY
    left = leave(tmp_path, connection, "Doe_Jane_1234.edi", body)
    [taken] = take(pipeline, tmp_path)
    assert (taken.sets, taken.repeats, taken.failure) == (
        body.count(b"\nST*") or body.count(b"ST*835"),
        0,
        "",
    )
    assert "Doe" not in taken.label
    assert not left.exists()
    assert (left.parent / "taken" / left.name).read_bytes() == body
    assert pipeline.drained()
    assert payments(pipeline, connection) == body.count(b"CLP*")
    assert take(pipeline, tmp_path) == []


def test_the_same_sets_in_another_file_take_effect_once(pipeline: "Pipeline", tmp_path: Path) -> None:
    connection, body = pipeline.connection(), BODY
    leave(tmp_path, connection, "one.edi", body)
    leave(tmp_path, connection, "two.edi", body)
    first, second = take(pipeline, tmp_path)
    assert (first.repeats, second.repeats) == (0, second.sets)
    assert pipeline.drained()
    assert payments(pipeline, connection) == body.count(b"CLP*")


def test_a_file_whose_taking_was_cut_short_is_taken_from_there(pipeline: "Pipeline", tmp_path: Path) -> None:
    connection, body = pipeline.connection(), BODY
    left = leave(tmp_path, connection, "one.edi", body)
    real = pipeline.app.publisher

    class Dies(Publisher):
        """Is away after the first set."""

        sent = 0

        async def publish(self, messages: "Sequence[Message]", *, timeout_s: float) -> Any:  # noqa: ANN401 - the port's
            if self.sent:
                raise TransientError("unavailable", "killed here")
            self.sent += 1
            return await real.publish(messages, timeout_s=timeout_s)

        async def ready(self) -> None:
            pass

    with pytest.raises(TransientError):
        take(pipeline, tmp_path, using=replace(importer(pipeline), publisher=Dies()))
    assert left.exists()
    [taken] = take(pipeline, tmp_path)
    assert (taken.sets, taken.repeats) == (SETS, 1)
    assert pipeline.drained()
    assert payments(pipeline, connection) == body.count(b"CLP*")


def test_the_folder_decides_the_connection_and_no_other_is_taken(
    pipeline: "Pipeline", tmp_path: Path
) -> None:
    ours, theirs = pipeline.connection(), pipeline.connection()
    disabled = pipeline.connection(enabled=False)
    body = BODY
    leave(tmp_path, ours, "a.edi", body)
    leave(tmp_path, disabled, "b.edi", body)
    for name in ("not-a-connection", str(uuid4())):
        (tmp_path / name).mkdir()
        (tmp_path / name / "c.edi").write_bytes(body)
    found = take(pipeline, tmp_path)
    assert sorted(one.failure for one in found) == ["", *["no enabled connection of this name"] * 3]
    assert pipeline.drained()
    assert payments(pipeline, ours) == body.count(b"CLP*")
    assert payments(pipeline, theirs) == payments(pipeline, disabled) == 0
    assert (tmp_path / "not-a-connection" / "refused" / "c.edi").exists()


def test_what_cannot_be_read_is_put_aside_and_what_came_before_is_in(
    pipeline: "Pipeline", tmp_path: Path
) -> None:
    connection, body = pipeline.connection(), BODY
    broken = leave(tmp_path, connection, "broken.edi", body + b"ISA*00*x")
    prose = leave(tmp_path, connection, "prose.edi", b"Dear sirs")
    found = {one.label.rpartition("/")[2]: one for one in take(pipeline, tmp_path)}
    assert len(found) == 2
    assert all(one.failure for one in found.values())
    assert sorted(one.sets for one in found.values()) == [0, SETS]
    for path in (broken, prose):
        assert (path.parent / "refused" / path.name).exists()
    assert pipeline.drained()
    assert payments(pipeline, connection) == body.count(b"CLP*")


def test_a_file_that_is_still_being_written_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "x"
    place.mkdir()
    for name in ("old.edi", "new.edi", ".new.edi.part"):
        (place / name).write_bytes(b"x")
    (place / "link.edi").symlink_to(place / "old.edi")
    os.utime(place / "old.edi", (1000, 1000))
    os.utime(place / "new.edi", (1004, 1004))
    os.utime(place / ".new.edi.part", (1000, 1000))
    drops = FolderDrops(tmp_path, settle_s=5.0, wall_s=lambda: 1006.0)
    assert [Path(drop.key).name for drop in drops.waiting()] == ["old.edi"]


def test_two_files_of_one_name_are_both_kept(tmp_path: Path) -> None:
    place = tmp_path / "x"
    place.mkdir()
    drops = FolderDrops(tmp_path, settle_s=0.0)
    for content in (b"one", b"two"):
        (place / "a.edi").write_bytes(content)
        [drop] = drops.waiting()
        drops.taken(drop)
    assert {path.read_bytes() for path in (place / "taken").iterdir()} == {b"one", b"two"}


@pytest.fixture
def home(pipeline: "Pipeline") -> Iterator[Path]:
    runtime = pipeline.threaded.runtime
    environment = to_environment(runtime.settings)
    home = runtime.settings.home
    announce(home, url=runtime.url, host_pids=runtime.host_pids(), environment=environment, ready=True)
    yield home
    withdraw(home)


def test_the_command_takes_what_is_there(pipeline: "Pipeline", home: Path, tmp_path: Path) -> None:
    connection = pipeline.connection()
    leave(tmp_path, connection, "Doe_Jane.edi", BODY)
    words = ["import", "--watch", str(tmp_path), "--once", "--home", str(home)]
    said = CliRunner().invoke(app, [*words, "--json"])
    assert said.exit_code == 0, said.output
    [one] = json.loads(said.stdout)
    assert (one["failure"], one["sets"]) == ("", SETS)
    assert "Doe" not in said.output
    assert CliRunner().invoke(app, ["import", "--home", str(home)]).exit_code == 2
