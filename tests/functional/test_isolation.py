"""One customer never sees another: as the application's own role, in every table, through handlers and commands.

Each table is given a row of both customers by its columns alone, so a table that a later migration adds is tested too.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from cli.app import app
from cli.workspace import announce, withdraw
from shared.adapters.notifiers.memory import InMemoryNotifier
from shared.adapters.postgres.record import tenant
from shared.domain.events import EventType, Received
from shared.domain.ids import claim_id
from shared.handlers.apply_rules import apply_rules
from shared.handlers.notify import notify
from shared.handlers.process_webhook import process_webhook
from shared.handlers.record_dead_letter import record_dead_letter
from shared.handlers.rule_book import RuleBook
from shared.ports.clock import system_clock
from shared.ports.record import Emitted
from shared.rules.evaluator import PlainEngine
from shared.runtime.envelope import from_headers
from shared.runtime.settings import to_environment

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

FIXTURES = Path(__file__).parents[1] / "fixtures" / "webhooks" / "acme"
PACK = Path(__file__).parents[2] / "shared" / "rules" / "packs"
UNIQUE_VIOLATION = "23505"
INSUFFICIENT_PRIVILEGE = "42501"  # both "permission denied" and "violates row-level security policy"

TABLES = """
SELECT c.relname AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND c.relname <> 'alembic_version'
ORDER BY 1
"""
COLUMNS = """
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
    coalesce((SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k
        WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum]), '') AS rule
FROM pg_attribute a
WHERE a.attrelid = CAST(:name AS regclass) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum
"""
POLICIES = """
SELECT tablename, policyname, permissive, roles, cmd, qual, with_check FROM pg_policies WHERE schemaname = 'public'
"""
VALUES: Mapping[str, object] = {
    "text": "x", "bigint": "1", "integer": "1", "smallint": "1", "double precision": "1", "boolean": "true",
    "date": "2026-01-01", "timestamp with time zone": "2026-01-01T00:00:00Z", "jsonb": "{}", "bytea": "\\x00",
    "text[]": "{}", "uuid[]": "{}", "xid8": "1",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """tenant: the column that says whose a row is. types, rules: by column."""

    name: str
    tenant: str
    types: Mapping[str, str]
    rules: Mapping[str, str]

    def row(self, customer_id: UUID) -> dict[str, object]:
        """Return a row of the customer: a value for every column, which its checks allow."""
        row = {name: self._value(name) for name in self.types}
        return {**row, self.tenant: str(customer_id)}

    def insert(self) -> str:
        values = ", ".join(f"CAST(CAST(:{name} AS text) AS {kind})" for name, kind in self.types.items())
        return f"INSERT INTO {self.name} ({', '.join(self.types)}) VALUES ({values})"  # noqa: S608

    def _value(self, name: str) -> object:
        allowed = re.search(r"'([^']*)'", self.rules[name])
        if self.types[name] == "uuid":
            return str(uuid4())
        return allowed[1] if allowed else VALUES[self.types[name]]  # a new type needs an example above


@dataclass(frozen=True)
class Two:
    """Two customers, each with a row in every table."""

    pipeline: "Pipeline"
    ours: UUID
    theirs: UUID
    tables: Sequence[Table]

    def theirs_now(self) -> dict[str, list[Any]]:
        """Return every row of theirs, by table."""
        return {table.name: rows_of(self.pipeline, table, self.theirs) for table in self.tables}

    def try_as_ours(self, statement: str, **parameters: object) -> int | None:
        """Return how many rows a statement of ours reached, or None if it was refused."""
        try:
            with tenant(self.pipeline.app.engine, self.ours) as session:
                return session.execute(text(statement), parameters).rowcount
        except DBAPIError as exc:
            if state_of(exc) != INSUFFICIENT_PRIVILEGE:
                raise
            return None


def state_of(error: DBAPIError) -> str:
    return "" if error.orig is None else str(error.orig.args[0]["C"])


def tables_of(pipeline: "Pipeline") -> list[Table]:
    tables = []
    for found in pipeline.rows(TABLES):
        columns = pipeline.rows(COLUMNS, name=found["name"])
        tables.append(
            Table(
                name=found["name"],
                tenant="id" if found["name"] == "customers" else "customer_id",
                types={column["name"]: column["type"] for column in columns},
                rules={column["name"]: column["rule"] for column in columns},
            )
        )
    return tables


def rows_of(pipeline: "Pipeline", table: Table, customer_id: UUID) -> list[Any]:
    statement = (
        f"SELECT to_jsonb(t) AS row FROM {table.name} t WHERE {table.tenant} = CAST(:id AS uuid) ORDER BY 1"  # noqa: S608
    )
    return [found["row"] for found in pipeline.rows(statement, id=str(customer_id))]


@pytest.fixture
def two(pipeline: "Pipeline") -> Two:
    customers = uuid4(), uuid4()
    tables = tables_of(pipeline)
    for customer_id in customers:
        for table in tables:
            pipeline.execute(table.insert(), **table.row(customer_id))
    return Two(pipeline, *customers, tables)


# The tables.


def test_every_table_has_its_policy_and_no_other(pipeline: "Pipeline") -> None:
    tables = pipeline.rows(TABLES)
    assert len(tables) >= 15
    policies = pipeline.rows(POLICIES)
    for table in tables:
        assert (table["enabled"], table["forced"]) == (True, True), table["name"]
        column = "id" if table["name"] == "customers" else "customer_id"
        own = f"({column} = (current_setting('upstream.customer_id'::text))::uuid)"
        bound = [
            {name: value for name, value in policy.items() if name not in {"tablename", "policyname"}}
            for policy in policies
            if policy["tablename"] == table["name"]
            and {"upstream_app", "public"} & set(policy["roles"])
            and policy["permissive"] == "PERMISSIVE"  # a restrictive one only narrows what it may do
        ]
        assert bound == [
            {
                "permissive": "PERMISSIVE",
                "roles": ["upstream_app"],
                "cmd": "ALL",
                "qual": own,
                "with_check": own,
            }
        ], table["name"]


def test_nothing_else_holds_rows_or_runs_as_somebody_else(pipeline: "Pipeline") -> None:
    """A view, a copy or a function of the owner's would read past the policies; a view as its reader does not.

    The one function tells a role that may list customers which of them have work waiting, and nothing of it.
    """
    others = """
    SELECT relname FROM pg_class WHERE relkind IN ('v', 'm', 'f') AND relnamespace = 'public'::regnamespace
        AND NOT (relkind = 'v' AND 'security_invoker=true' = ANY(coalesce(reloptions, '{}')))
    """
    definers = """
    SELECT proname, CAST(prorettype AS regtype)::text AS returns, proconfig,
        has_function_privilege('upstream_app', oid, 'EXECUTE') AS by_app,
        has_function_privilege('upstream_scheduler', oid, 'EXECUTE') AS by_scheduler
    FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace
    """
    assert pipeline.rows(others) == []
    # One, that tells the role which opens runs whose actions are due: ids of customers and nothing of theirs.
    assert pipeline.rows(definers) == [
        {
            "proname": "customers_with_due_actions",
            "returns": "uuid",
            "proconfig": ["search_path=public, pg_temp"],
            "by_app": False,
            "by_scheduler": True,
        }
    ]


def test_the_application_connects_as_a_role_that_policies_bind(pipeline: "Pipeline") -> None:
    with tenant(pipeline.app.engine, uuid4()) as connection:
        role = connection.exec_driver_sql(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = current_user"
        ).one()
        owned = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND pg_has_role(current_user, relowner, 'USAGE')"
        ).scalar_one()
        member_of = connection.exec_driver_sql(
            "SELECT rolname FROM pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER') AND rolname <> current_user"
        ).all()
    assert tuple(role) == ("upstream_app", False, False, False)
    assert owned == 0
    assert member_of == []


def test_a_transaction_without_a_customer_raises_in_every_table(two: Two) -> None:
    engine = two.pipeline.app.engine
    for table in two.tables:
        for _ in range(2):  # on a fresh connection, and after a tenant's turn
            with pytest.raises(DBAPIError), engine.begin() as session:
                session.exec_driver_sql(f"SELECT count(*) FROM {table.name}")  # noqa: S608
            with tenant(engine, two.ours) as session:
                session.exec_driver_sql("SELECT 1")


def test_each_sees_its_own_rows_and_no_others_in_every_table(two: Two) -> None:
    for table in two.tables:
        for customer_id in (two.ours, two.theirs):
            with tenant(two.pipeline.app.engine, customer_id) as session:
                seen = session.exec_driver_sql(f"SELECT {table.tenant} FROM {table.name}").scalars().all()  # noqa: S608
            assert seen == [customer_id], table.name


def test_each_sees_its_own_rows_and_no_others_in_every_view(two: Two) -> None:
    views = two.pipeline.rows(
        "SELECT relname AS name FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace"
    )
    assert len(views) >= 3
    for view in views:
        with tenant(two.pipeline.app.engine, two.ours) as session:
            seen = set(session.exec_driver_sql(f"SELECT customer_id FROM {view['name']}").scalars())  # noqa: S608
        assert seen <= {two.ours}, view["name"]


def test_what_the_planner_knows_of_the_rows_is_not_to_be_read_either(two: Two) -> None:
    with two.pipeline.owner.begin() as owner:
        owner.exec_driver_sql("ANALYZE claims, customers")
    with tenant(two.pipeline.app.engine, two.ours) as session:
        assert not session.exec_driver_sql("SELECT * FROM pg_stats WHERE schemaname = 'public'").all()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET {tenant} = {tenant} WHERE {tenant} = CAST(:theirs AS uuid)",
        "DELETE FROM {table} WHERE {tenant} = CAST(:theirs AS uuid)",
        "SELECT 1 FROM {table} WHERE {tenant} = CAST(:theirs AS uuid) FOR UPDATE",
        "WITH gone AS (DELETE FROM {table} WHERE {tenant} <> CAST(:ours AS uuid) RETURNING 1) SELECT 1 FROM gone",
    ],
)
def test_no_statement_reaches_their_rows_in_any_table(two: Two, statement: str) -> None:
    before = two.theirs_now()
    for table in two.tables:
        spelled = statement.format(table=table.name, tenant=table.tenant)
        wanted = {
            name: str(value)
            for name, value in {"ours": two.ours, "theirs": two.theirs}.items()
            if name in spelled
        }
        assert two.try_as_ours(spelled, **wanted) in {0, None}, table.name
    assert two.theirs_now() == before


def test_a_statement_over_a_whole_table_reaches_our_rows_alone(two: Two) -> None:
    before = two.theirs_now()
    reached = {
        table.name: two.try_as_ours(f"UPDATE {table.name} SET {table.tenant} = {table.tenant}")  # noqa: S608
        for table in two.tables
    }
    assert set(reached.values()) == {1, None}
    assert {name for name, count in reached.items() if count is None} >= {"customers", "automation_rules"}
    for table in two.tables:
        two.try_as_ours(f"DELETE FROM {table.name}")  # noqa: S608
    assert two.theirs_now() == before


def test_no_row_can_be_written_as_theirs_in_any_table(two: Two) -> None:
    before = two.theirs_now()
    for table in two.tables:
        assert two.try_as_ours(table.insert(), **table.row(two.theirs)) is None, table.name
        moved = f"UPDATE {table.name} SET {table.tenant} = CAST(:theirs AS uuid)"  # noqa: S608
        assert two.try_as_ours(moved, theirs=str(two.theirs)) is None, table.name
    assert two.theirs_now() == before


def test_a_row_with_the_id_of_theirs_neither_reads_nor_changes_it(two: Two) -> None:
    """Ids can be guessed at most; a conflict with one must not be a way in."""
    before = two.theirs_now()
    for table in two.tables:
        (row,) = before[table.name]
        same_id = {name: _as_text(value) for name, value in row.items()} | {table.tenant: str(two.ours)}
        for clause in ("", " ON CONFLICT DO NOTHING"):
            _unless_a_duplicate(two, table.insert() + clause, same_id)
        if table.name != "customers":
            keys = ", ".join(_primary_key(two.pipeline, table))
            taken_over = f" ON CONFLICT ({keys}) DO UPDATE SET {table.tenant} = EXCLUDED.{table.tenant}"
            assert two.try_as_ours(table.insert() + taken_over, **same_id) in {1, None}, table.name
    assert two.theirs_now() == before


@pytest.mark.parametrize(
    "statement",
    [
        "SET LOCAL ROLE upstream_operator",
        "SET SESSION AUTHORIZATION upstream_operator",
        "ALTER TABLE claims DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE claims NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY own_rows ON claims",
        "CREATE POLICY all_of_it ON claims USING (true)",
        "GRANT upstream_operator TO upstream_app",
        "TRUNCATE claims",
        "CREATE TABLE public.copied AS SELECT * FROM claims",
        "COPY claims TO PROGRAM 'true'",
    ],
)
def test_the_application_cannot_step_out_of_its_role(two: Two, statement: str) -> None:
    assert two.try_as_ours(statement) is None


def test_policies_cannot_be_switched_off(two: Two) -> None:
    def read_all() -> None:
        with tenant(two.pipeline.app.engine, two.ours) as session:
            session.exec_driver_sql("SET LOCAL row_security = off")
            session.exec_driver_sql("SELECT * FROM claims")

    with pytest.raises(DBAPIError, match="would be affected by row-level security"):
        read_all()


def _as_text(value: object) -> object:
    if isinstance(value, list) and not value:
        return "{}"
    return json.dumps(value) if isinstance(value, dict | list) else None if value is None else str(value)


def _primary_key(pipeline: "Pipeline", table: Table) -> list[str]:
    found = pipeline.rows(
        "SELECT a.attname AS name FROM pg_index i"
        " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)"
        " WHERE i.indisprimary AND i.indrelid = CAST(:name AS regclass) ORDER BY a.attnum",
        name=table.name,
    )
    return [column["name"] for column in found]


def _unless_a_duplicate(two: Two, statement: str, row: Mapping[str, object]) -> None:
    try:
        two.try_as_ours(statement, **row)
    except DBAPIError as exc:
        if state_of(exc) != UNIQUE_VIOLATION:
            raise


# The handlers.


@dataclass(frozen=True)
class Told:
    """Theirs: a claim that was submitted and denied. event: what `process_webhook` told of it, by type."""

    two: Two
    claim_id: UUID
    events: Mapping[EventType, Received]

    def as_ours(self, event_type: EventType, **attributes: str) -> Received:
        """Return their event as if it were one of ours that names their claim."""
        received = self.events[event_type]
        headers = {name.lower(): value for name, value in received.attributes.items()}
        headers |= {"ce-customerid": str(self.two.ours), "ce-id": str(uuid4()), **attributes}
        return from_headers(headers, received.event.data)

    def decided(self, received: Received) -> Emitted:
        record = self.two.pipeline.app.record
        (emitted,) = apply_rules([received], record=record, book=RuleBook(PlainEngine()), clock=system_clock)
        return emitted

    def fired(self) -> set[str]:
        rows = self.two.pipeline.rows(
            "SELECT rule_id FROM executions WHERE customer_id = CAST(:id AS uuid) AND decision = 'fired'",
            id=str(self.two.ours),
        )
        return {row["rule_id"] for row in rows}


def rule(rule_id: str, trigger: str, fact: str, action: Mapping[str, object]) -> dict[str, object]:
    return {
        "id": rule_id, "version": 1, "name": rule_id, "trigger": trigger, "mode": "live", "priority": 1,
        "when": {"fact": fact, "op": "gte", "value": 0}, "then": [action],
        "examples": [{"given": {fact: 1}, "expect": "fires"}],
    }  # fmt: skip


HOLD: Mapping[str, object] = {"action": "hold_claim", "params": {"reason": "ours"}}
ALERT: Mapping[str, object] = {"action": "escalate", "params": {"title": "look", "severity": "info"}}


@pytest.fixture
def told(pipeline: "Pipeline") -> Told:
    ours, theirs = pipeline.customer("Ours"), pipeline.customer("Theirs")
    connection = pipeline.connection(theirs)
    for name in ("claim_submitted", "claim_denied"):
        pipeline.send(connection, (FIXTURES / f"{name}.json").read_bytes(), content_type="application/json")
        assert pipeline.drained()
    sent = pipeline.rows(
        "SELECT attributes, data FROM outbox WHERE customer_id = CAST(:id AS uuid)", id=str(theirs)
    )
    received = [
        from_headers({name.lower(): value for name, value in row["attributes"].items()}, bytes(row["data"]))
        for row in sent
    ]
    events = {one.event.type: one for one in received}
    assert events.keys() == {"claim.submitted", "claim.denied"}
    for document in (
        rule("holds-what-is-denied", "claim.denied", "claim.charge_cents", HOLD),
        rule("holds-what-is-submitted", "claim.submitted", "claim.charge_cents", HOLD),
        rule("asks-for-their-streak", "claim.denied", "payer.denials_in_a_row", ALERT),
    ):
        pipeline.rule(ours, document)
    return Told(Two(pipeline, ours, theirs, tables_of(pipeline)), claim_id(theirs, "PCN-1042"), events)


def test_a_payload_that_names_their_claim_is_a_claim_of_ours(pipeline: "Pipeline", told: Told) -> None:
    before = told.two.theirs_now()
    connection = pipeline.connection(told.two.ours)
    body = json.loads((FIXTURES / "claim_paid.json").read_bytes())
    body |= {
        "payer_claim_number": "2026021700042",
        "id": str(told.claim_id),
        "customer_id": str(told.two.theirs),
    }
    pipeline.send(
        connection, json.dumps(body).encode(), content_type="application/json", delivery_id="with-more"
    )
    paid = (FIXTURES / "claim_paid.json").read_bytes()
    pipeline.send(
        connection, paid, content_type="application/json", headers={"ce-customerid": str(told.two.theirs)}
    )
    assert pipeline.drained()
    assert told.two.theirs_now() == before
    claims = pipeline.rows(
        "SELECT id, paid_cents FROM claims WHERE customer_id = CAST(:id AS uuid)", id=str(told.two.ours)
    )
    assert claims == [{"id": claim_id(told.two.ours, "PCN-1042"), "paid_cents": 12_000}]


@pytest.mark.parametrize("event_type", ["claim.denied", "claim.submitted"])
def test_an_event_of_ours_that_names_their_claim_neither_reads_nor_changes_it(
    told: Told, event_type: EventType
) -> None:
    before = told.two.theirs_now()
    received = told.as_ours(event_type)
    assert received.event.subject == f"claims/{told.claim_id}"
    assert str(told.claim_id).encode() in received.event.data
    told.decided(received)
    assert told.two.theirs_now() == before
    # The rule that asks their history has no answer; the one that acts on the claim acts on nothing.
    assert told.fired() == {f"holds-what-is-{event_type.removeprefix('claim.')}"}


def test_their_own_event_would_have_been_answered(told: Told) -> None:
    """The test above is not empty: asked by its own customer, the same event has a streak and is held."""
    pipeline, theirs = told.two.pipeline, told.two.theirs
    for rule_id, fact, action in (
        ("streak", "payer.denials_in_a_row", ALERT),
        ("hold", "claim.charge_cents", HOLD),
    ):
        pipeline.rule(theirs, rule(rule_id, "claim.denied", fact, action))
    told.decided(told.as_ours("claim.denied", **{"ce-customerid": str(theirs)}))
    rows = pipeline.rows(
        "SELECT rule_id FROM executions WHERE customer_id = CAST(:id AS uuid) AND decision = 'fired'",
        id=str(theirs),
    )
    assert {row["rule_id"] for row in rows} == {"streak", "hold"}
    (claim,) = pipeline.rows(
        "SELECT hold_reason FROM claims WHERE id = CAST(:id AS uuid)", id=str(told.claim_id)
    )
    assert claim["hold_reason"] == "ours"


def test_an_event_with_the_id_of_theirs_is_not_handed_their_messages(told: Told) -> None:
    """Were an id ever to be met twice, the second customer would not get what the first one's outbox still holds."""
    pipeline = told.two.pipeline
    pipeline.execute(
        "UPDATE outbox SET published_at = NULL WHERE customer_id = CAST(:id AS uuid)", id=str(told.two.theirs)
    )
    before = told.two.theirs_now()
    parent = told.events["claim.denied"].event.parent_id
    received = told.as_ours(
        "claim.denied", **{"ce-id": str(parent), "ce-type": "app.upstream.webhook.received"}
    )
    (emitted,) = process_webhook(
        [received], record=pipeline.app.record, payloads=pipeline.app.payloads, clock=system_clock
    )
    assert emitted.messages == ()
    pipeline.app.record.mark_published(
        [Emitted(told.two.ours, tuple(UUID(row["id"]) for row in before["outbox"]))]
    )
    assert told.two.theirs_now() == before


def test_a_dead_letter_of_ours_does_not_overwrite_theirs(told: Told) -> None:
    pipeline = told.two.pipeline
    pipeline.send(pipeline.connection(told.two.theirs), b"no format", content_type="text/plain")
    assert pipeline.drained()
    before = told.two.theirs_now()
    (letter,) = before["dead_letters"]
    headers = {name.lower(): value for name, value in letter["attributes"].items()}
    headers |= {"ce-customerid": str(told.two.ours), "upstream-letter": letter["id"]}
    with pytest.raises(DBAPIError, match="row-level security"):
        record_dead_letter(b"ours", headers, record=pipeline.app.record)
    assert told.two.theirs_now() == before


def test_a_notification_of_ours_does_not_reach_their_channels(told: Told) -> None:
    pipeline = told.two.pipeline
    channel = [{"id": "their-mail", "kind": "email", "target": "them@example.org", "secret_name": ""}]
    pipeline.execute(
        "UPDATE customers SET channels = CAST(:channels AS jsonb) WHERE id = CAST(:id AS uuid)",
        channels=json.dumps(channel),
        id=str(told.two.theirs),
    )
    content = {
        "title": "t",
        "severity": "info",
        "text": "t",
        "facts": {},
        "channels": ["their-mail"],
        "event_id": "e",
    }
    sent = {}
    for customer_id in (told.two.ours, told.two.theirs):
        received = told.as_ours(
            "claim.denied",
            **{"ce-customerid": str(customer_id), "ce-type": "app.upstream.notification.requested"},
        )
        headers = {name.lower(): value for name, value in received.attributes.items()}
        notifier = InMemoryNotifier()
        notify(
            from_headers(headers, json.dumps(content).encode()),
            record=pipeline.app.record,
            log=pipeline.app.notification_log,
            notifier=notifier,
        )
        sent[customer_id] = notifier.attempts
    assert sent == {told.two.ours: [], told.two.theirs: ["their-mail"]}


# The commands. An engineer sees every customer; what names one of them touches that one alone.


@pytest.fixture
def home(pipeline: "Pipeline") -> Iterator[Path]:
    runtime = pipeline.threaded.runtime
    environment = to_environment(runtime.settings)
    found = runtime.settings.home
    announce(found, url=runtime.url, host_pids=runtime.host_pids(), environment=environment, ready=True)
    yield found
    withdraw(found)


def test_a_command_for_one_customer_shows_and_changes_nothing_of_another(
    pipeline: "Pipeline", home: Path
) -> None:
    def run(*words: str) -> str:
        result = CliRunner().invoke(app, [*words, "--home", str(home)])
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    ours, theirs = (f"Practice {uuid4().hex[:8]}" for _ in range(2))
    ids = {name: pipeline.customer(name) for name in (ours, theirs)}
    for customer_id in ids.values():
        pipeline.send(pipeline.connection(customer_id), b"no format", content_type="text/plain")
    assert pipeline.drained()
    run("rules", "apply", str(PACK / "denial-over-amount.yaml"), "--customer", theirs)
    two = Two(pipeline, ids[ours], ids[theirs], tables_of(pipeline))
    before = two.theirs_now()
    assert before["dead_letters"]
    assert before["automation_rules"]

    run("rules", "apply", str(PACK), "--customer", ours)
    run("dead-letters", "discard", "--customer", ours, "--why", "a test", "--yes")
    run("dead-letters", "replay", "--customer", ours, "--why", "a test", "--yes")
    assert pipeline.drained()
    shown = run("rules", "list", "--customer", ours, "--json") + run(
        "dead-letters", "list", "--customer", ours, "--json"
    )
    assert two.theirs_now() == before
    assert str(ids[theirs]) not in shown
    assert all(row["id"] not in shown for row in before["dead_letters"])
    assert (
        rows_of(pipeline, next(t for t in two.tables if t.name == "dead_letters"), ids[ours])[0]["state"]
        == "discarded"
    )


def test_a_trace_that_a_sender_gave_to_several_customers_is_shown_of_one(
    pipeline: "Pipeline", home: Path
) -> None:
    headers = {"traceparent": f"00-{uuid4().hex}-{uuid4().hex[:16]}-01"}
    ours, theirs = (pipeline.customer() for _ in range(2))
    replies = [
        pipeline.send(pipeline.connection(customer), b"no format", content_type="text/plain", headers=headers)
        for customer in (ours, theirs)
    ]
    assert pipeline.drained()
    mine, other = (reply.body["event_id"] for reply in replies)
    for asked, another in ((mine, other), (other, mine)):
        result = CliRunner().invoke(app, ["trace", asked, "--json", "--home", str(home)])
        hops = json.loads(result.stdout)["hops"]
        assert {hop["event_id"] for hop in hops} == {asked}
        assert {hop["what"] for hop in hops} == {"receive_webhook", "record_dead_letter", "dead letter"}
        assert another not in result.stdout
