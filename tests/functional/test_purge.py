"""`upstream customers purge`: a customer's patients are gone from every table; its audit trail, and others, are not."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.payload import content_type
from cli.workspace import announce, withdraw
from shared.adapters.patient_objects import FilePatientObjects
from shared.adapters.postgres.operators import PostgresOperatorDesk
from shared.adapters.postgres.purge import PostgresPurgeDesk
from shared.domain.data_map import EMPTIED, FATES, KEPT, REMOVED
from shared.domain.events import Event, Outgoing
from shared.domain.ids import event_id
from shared.handlers.purge_customer import Means, purge_customer
from shared.ports.evidence import Piece
from shared.ports.purge import PurgeRun
from shared.rules.documents import from_yaml
from shared.rules.loader import PACKS
from shared.runtime.envelope import to_message
from shared.runtime.errors import TransientError
from shared.runtime.settings import to_environment
from tests.functional.test_isolation import Table, rows_of, tables_of

if TYPE_CHECKING:
    from shared.ports.connections import Connection
    from tests.functional.conftest import Pipeline

ROOT = Path(__file__).parents[2]
SAMPLES = sorted(path for folder in ("x12-835", "fhir-claim", "fhir-eob", "x12-malformed")
                 for path in (ROOT / "samples" / folder).iterdir())  # fmt: skip
SAMPLES_THAT_FAIL = [path for path in SAMPLES if path.parent.name == "x12-malformed"]
# Patients whom neither a sample nor another test's row has: whole tables are searched for them.
OURS, THEIRS = (f"{name}{uuid4().hex[:8].upper()}" for name in ("QUILL", "MARROW"))
MEMBERS = {OURS: f"QF{uuid4().hex[:8].upper()}", THEIRS: f"MB{uuid4().hex[:8].upper()}"}
ADVICE = (
    "ISA*00*          *00*          *ZZ*PAYER          *ZZ*PRACTICE       *261101*1200*^*00501*000000001*0*P*:~"
    "GS*HP*PAYER*PRACTICE*20261101*1200*1*X*005010X221A1~ST*835*0001~BPR*I*0*H*NON************20261101~"
    "TRN*1*PURGE1*1512345678~DTM*405*20261101~N1*PR*OAK HEALTH~N1*PE*PRACTICE*XX*9999999995~LX*1~"
    "CLP*PURGE-1*4*900*0**12*P1~CAS*CO*197*900~NM1*QC*1*{name}*PAT****MI*{member}~DTM*050*19810417~"
    "SVC*HC:99213*900*0~SE*13*0001~GE*1*1~IEA*1*000000001~"
)
PATIENTS = "SELECT patient FROM {table} WHERE customer_id = CAST(:c AS uuid)"
MAY_CHANGE = {"rule_switches", "customer_purges"}  # what a purge writes of itself


class Practice:
    """A customer that posted files, one of which could not be read."""

    def __init__(self, pipeline: "Pipeline", patient: str) -> None:
        self.name = f"Practice {patient} {uuid4().hex[:8]}".replace(patient, "P")
        self.id = pipeline.customer(self.name)
        self.connection: Connection = pipeline.connection(self.id)
        pipeline.rule(self.id, from_yaml((PACKS / "denial-over-amount.yaml").read_text())[0])  # type: ignore[arg-type]
        for path in SAMPLES:
            body = path.read_bytes()
            assert pipeline.send(self.connection, body, content_type=content_type(path, body)).status == 202
        advice = ADVICE.format(name=patient, member=MEMBERS[patient])
        for text in (advice, advice[: advice.index("SVC")]):  # the second one ends too soon
            assert pipeline.send(self.connection, text.encode()).status == 202
        pipeline.app.payloads.put(self.id, uuid4(), patient.encode())
        pipeline.app.evidence.put(
            self.id, uuid4(), 1, Piece("document", "letter.pdf", "application/pdf"), patient.encode()
        )


@pytest.fixture(scope="module")
def home(pipeline: "Pipeline") -> Iterator[Path]:
    runtime = pipeline.threaded.runtime
    environment = to_environment(runtime.settings)
    folder = runtime.settings.home
    announce(folder, url=runtime.url, host_pids=runtime.host_pids(), environment=environment, ready=True)
    yield folder
    withdraw(folder)


@pytest.fixture
def practices(pipeline: "Pipeline") -> tuple[Practice, Practice]:
    both = Practice(pipeline, OURS), Practice(pipeline, THEIRS)
    assert pipeline.drained()
    return both


def upstream(home: Path, *words: str, code: int = 0) -> Any:  # noqa: ANN401 - JSON
    ran = CliRunner().invoke(app, [*words, "--json", "--home", str(home)])
    assert ran.exit_code == code, (ran.stdout, ran.stderr, ran.exception)
    return json.loads(ran.stdout) if ran.stdout else {}


def purge(home: Path, name: str, *words: str) -> Any:  # noqa: ANN401 - JSON
    return upstream(home, "customers", "purge", name, "--settle", "0", *words)


def everything(pipeline: "Pipeline", customer_id: UUID) -> Mapping[str, list[Any]]:
    return {table.name: rows_of(pipeline, table, customer_id) for table in tables_of(pipeline)}


def dump(pipeline: "Pipeline", table: Table) -> str:
    """Return a whole table as text, byte strings in hexadecimal."""
    return "\n".join(
        row["row"]
        for row in pipeline.rows(f"SELECT t::text AS row FROM {table.name} t")  # noqa: S608 - a table's name
    )


def patients(pipeline: "Pipeline", customer_id: UUID) -> set[str]:
    """Return every name, number and date of birth that the record has of the customer's patients."""
    found: set[str] = set()
    for table in ("claims", "claim_payments", "authorizations", "authorization_requests"):
        for row in pipeline.rows(PATIENTS.format(table=table), c=str(customer_id)):
            found |= {str(value) for value in row["patient"].values() if len(str(value)) > 4}
    return found


def test_no_table_holds_anything_of_the_patients_any_more(
    pipeline: "Pipeline", home: Path, practices: tuple[Practice, Practice]
) -> None:
    ours, theirs = practices
    known = patients(pipeline, ours.id)
    assert {f"PAT {OURS}", MEMBERS[OURS]} <= known
    assert len(known) > 8, "the samples have patients, too"
    before, theirs_before = everything(pipeline, ours.id), everything(pipeline, theirs.id)
    done = purge(home, ours.name, "--yes", "--why", "contract ended", "--by", "engineer@example.org")
    assert done["rows"]["claims"] >= 5
    assert done["rows"]["dead_letters"] >= 2
    assert done["connections"] == [str(ours.connection.id)]

    for table in tables_of(pipeline):
        whole = dump(pipeline, table)
        for one in (OURS, MEMBERS[OURS]):
            assert one not in whole, table.name
            assert one.encode().hex() not in whole, table.name
    after = everything(pipeline, ours.id)
    for name, rows in after.items():
        assert not [one for one in known if one in json.dumps(rows)], name
    assert not list((home / "evidence").rglob(f"*{ours.id}*/**/*.pdf"))

    assert everything(pipeline, theirs.id) == theirs_before
    assert THEIRS in dump(pipeline, next(t for t in tables_of(pipeline) if t.name == "claims"))
    for name in after.keys() & {*KEPT}:
        if name not in MAY_CHANGE:
            assert after[name] == before[name], name
    assert all(after[name] for name in ("executions", "actions", "inbox", "automation_rules"))
    assert all(not after[name] for name in REMOVED)


def test_without_yes_it_counts_and_changes_nothing(
    pipeline: "Pipeline", home: Path, practices: tuple[Practice, Practice]
) -> None:
    ours, _ = practices
    before = everything(pipeline, ours.id)
    planned = purge(home, ours.name)
    assert planned["dry_run"] is True
    assert planned == purge(home, ours.name, "--yes", "--dry-run", "--why", "x")
    assert everything(pipeline, ours.id) == before
    done = purge(home, ours.name, "--yes", "--why", "contract ended")
    assert (done["rows"], done["connections"]) == (planned["rows"], planned["connections"])
    assert planned["rows"]["objects"] == 2


def test_it_is_recorded_and_done_again_it_finds_nothing(
    pipeline: "Pipeline", home: Path, practices: tuple[Practice, Practice]
) -> None:
    ours, _ = practices
    first = purge(home, ours.name, "--yes", "--why", "contract ended", "--by", "engineer@example.org")
    again = purge(home, ours.name, "--yes", "--why", "a week later")
    assert again["connections"] == []
    assert set(again["rows"].values()) == {0}
    runs = pipeline.rows(
        "SELECT purged_by, why, rows, ended_at FROM customer_purges WHERE customer_id = CAST(:c AS uuid)"
        " ORDER BY began_at",
        c=str(ours.id),
    )
    assert [(run["why"], run["rows"]) for run in runs] == [
        ("contract ended", first["rows"]),
        ("a week later", again["rows"]),
    ]
    assert runs[0]["purged_by"] == "engineer@example.org"
    [listed] = [one for one in upstream(home, "customers", "list") if one["id"] == str(ours.id)]
    assert listed["connections"] == 0
    assert listed["purged_at"]


def test_nothing_comes_in_and_nothing_is_done_any_more(
    pipeline: "Pipeline", home: Path, practices: tuple[Practice, Practice]
) -> None:
    ours, theirs = practices
    purge(home, ours.name, "--yes", "--why", "contract ended")
    found = pipeline.app.registry.get(ours.connection.id)
    assert found == replace(ours.connection, enabled=False)
    assert pipeline.app.registry.get(theirs.connection.id) == theirs.connection
    [switch] = pipeline.rows(
        "SELECT off, why FROM rule_switches WHERE customer_id = CAST(:c AS uuid)", c=str(ours.id)
    )
    assert (switch["off"], switch["why"]) == (True, "contract ended")


def test_interrupted_it_goes_on_with_the_next_run(
    pipeline: "Pipeline", home: Path, practices: tuple[Practice, Practice]
) -> None:
    ours, theirs = practices
    theirs_before = everything(pipeline, theirs.id)

    class Interrupted(PostgresPurgeDesk):
        def purge(self, table: str, *whose: Any, run: PurgeRun) -> int:  # noqa: ANN401 - as the desk's own
            if table == "authorizations":
                raise TransientError("unavailable", "the database went away")
            return super().purge(table, *whose, run=run)

    means = Means(
        desk=Interrupted(pipeline.operator, pages=1),
        registry=pipeline.app.registry,
        operators=PostgresOperatorDesk(pipeline.operator),
        objects=FilePatientObjects(home / "evidence"),
        settle=lambda: None,
    )
    run = PurgeRun(uuid4(), ours.id, by="engineer", why="contract ended")
    with pytest.raises(TransientError):
        purge_customer(run, means=means, tell=lambda *_: None)
    left = everything(pipeline, ours.id)
    assert not left["claims"]
    assert left["outbox"]
    done = purge(home, ours.name, "--yes", "--why", "the rest")
    assert done["rows"]["claims"] == 0
    assert done["rows"]["outbox"] == len(left["outbox"])
    assert not everything(pipeline, ours.id)["outbox"]
    ended = [row["ended_at"] for row in everything(pipeline, ours.id)["customer_purges"]]
    assert sorted(at is None for at in ended) == [False, True]
    assert everything(pipeline, theirs.id) == theirs_before


def test_a_letter_of_nobodys_that_came_over_the_connection_is_emptied_too(
    pipeline: "Pipeline", home: Path, practices: tuple[Practice, Practice]
) -> None:
    ours, _ = practices
    pipeline.execute(
        "UPDATE dead_letters SET customer_id = CAST(:nobody AS uuid) WHERE connection_id = CAST(:c AS uuid)",
        nobody=str(UUID(int=0)),
        c=str(ours.connection.id),
    )
    purge(home, ours.name, "--yes", "--why", "contract ended")
    letters = pipeline.rows(
        "SELECT octet_length(body) AS bytes, state, code, reason, purged_why FROM dead_letters"
        " WHERE connection_id = CAST(:c AS uuid)",
        c=str(ours.connection.id),
    )
    assert len(letters) >= 2
    assert {(one["bytes"], one["state"], one["purged_why"]) for one in letters} == {
        (0, "discarded", "contract ended")
    }
    assert all(one["code"] and one["reason"] for one in letters), "why it failed is kept"


def test_an_emptied_letter_is_not_replayed(
    pipeline: "Pipeline", home: Path, practices: tuple[Practice, Practice]
) -> None:
    ours, _ = practices
    purge(home, ours.name, "--yes", "--why", "contract ended")
    [letter, *_] = everything(pipeline, ours.id)["dead_letters"]
    told = upstream(home, "dead-letters", "replay", letter["id"], "--yes", "--why", "by mistake")
    assert (told["refused"], told["published"]) == (1, 0)
    assert pipeline.drained()
    [found, *_] = pipeline.rows(
        "SELECT state FROM dead_letters WHERE id = CAST(:id AS uuid)", id=letter["id"]
    )
    assert found["state"] == "discarded"


def test_what_the_broker_brings_once_more_is_not_stored_anew(
    pipeline: "Pipeline", home: Path, practices: tuple[Practice, Practice]
) -> None:
    """As a seek to before the purge does, when a database was recovered."""
    ours, _ = practices
    body = ADVICE.format(name=OURS, member=MEMBERS[OURS]).replace("PURGE1", "PURGE2").encode()
    assert pipeline.send(ours.connection, body, delivery_id="once-more").status == 202
    assert pipeline.drained()
    purge(home, ours.name, "--yes", "--why", "contract ended")
    event = Event(
        id=event_id(ours.connection.id, "once-more", sha256(body).hexdigest()),
        type="webhook.received",
        source=f"/connections/{ours.connection.id}",
        subject=f"connections/{ours.connection.id}",
        time=datetime.now(UTC),
        customer_id=ours.id,
        data=body,
        content_type="application/edi-x12",
        extensions={"connectionid": str(ours.connection.id), "payloadformat": "auto"},
    )
    message = to_message(Outgoing("webhook-events", event))
    asyncio.run(pipeline.app.publisher.publish([message], timeout_s=10))
    assert pipeline.drained()
    after = everything(pipeline, ours.id)
    assert not after["claims"]
    assert not after["outbox"]
    assert len(after["dead_letters"]) == len(SAMPLES_THAT_FAIL) + 1, "it was taken, and known"


def test_it_asks_for_a_reason_and_a_customer_that_there_is(home: Path) -> None:
    ran = CliRunner().invoke(app, ["customers", "purge", "Nobody's practice", "--yes", "--home", str(home)])
    assert ran.exit_code == 2
    assert "--why" in ran.stderr
    ran = CliRunner().invoke(app, ["customers", "purge", "Nobody's practice", "--home", str(home)])
    assert ran.exit_code == 1
    assert "no customer is called" in ran.stderr


def test_the_map_has_every_table_that_holds_rows_of_a_customer(pipeline: "Pipeline") -> None:
    tables = {table.name for table in tables_of(pipeline)}
    assert tables <= {*FATES, "customers"}
    assert {*REMOVED, *EMPTIED} <= tables


def test_every_table_of_the_map_is_left_as_it_says(pipeline: "Pipeline", home: Path) -> None:
    """Whatever the samples reach: each table gets a row of two customers, by its columns alone."""
    names = {uuid4(): f"Filled {uuid4().hex}" for _ in range(2)}
    tables = tables_of(pipeline)
    for customer_id, name in names.items():
        for table in tables:
            row = table.row(customer_id)
            if table.name == "customers":
                row["name"], row["channels"] = name, "[]"
            pipeline.execute(table.insert(), **row)
    ours, theirs = names
    before, theirs_before = everything(pipeline, ours), everything(pipeline, theirs)
    for rows in (before, theirs_before):
        for letter in rows["dead_letters"]:
            assert letter["purged_at"], "the filler emptied it; it is filled below"
    pipeline.execute("UPDATE dead_letters SET purged_at = NULL, state = 'open' WHERE customer_id = CAST(:c AS uuid)",
                     c=str(ours))  # fmt: skip
    purge(home, names[ours], "--yes", "--why", "contract ended")
    after = everything(pipeline, ours)
    for name in after.keys() & FATES:
        fate = FATES[name]
        if fate == "removed":
            assert after[name] == [], name
        elif fate == "kept" and name not in MAY_CHANGE:
            assert after[name] == before[name], name
    [letter] = after["dead_letters"]
    assert (letter["body"], letter["state"]) == ("\\x", "discarded")
    [replayed] = after["dead_letter_replays"]
    assert replayed["edited_body"] is None
    assert everything(pipeline, theirs) == theirs_before
