"""`OperatorDesk` in PostgreSQL."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain
from uuid import UUID

import orjson
from sqlalchemy import Connection, Engine, RowMapping, text

from shared.adapters.postgres import spending
from shared.adapters.postgres.engine import database_errors
from shared.domain.spending import Controls, Window
from shared.ports.notifier import Channel
from shared.ports.operators import (
    CheckSet,
    ContractedFee,
    Customer,
    RuleChange,
    RuleChanged,
    RuleDocument,
    StoredDocument,
    StoredRule,
    Switch,
)
from shared.runtime.errors import PoisonError

NOBODY = UUID(int=0)

ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(7237003)")
ADD_CUSTOMER = text("INSERT INTO customers (id, name) VALUES (CAST(:id AS uuid), :name)")
CUSTOMERS = text("""
SELECT id, name, channels, rules_version FROM customers
WHERE id <> CAST(:nobody AS uuid) AND (CAST(:name AS text) IS NULL OR name = :name)
ORDER BY name, id
""")
SET_CHANNELS = text("UPDATE customers SET channels = CAST(:channels AS jsonb) WHERE id = CAST(:id AS uuid)")

LOCK_RULES = text("SELECT rules_version FROM customers WHERE id = CAST(:customer_id AS uuid) FOR UPDATE")
STORED = text("""
SELECT rule_id, version, document, active FROM automation_rules
WHERE customer_id = CAST(:customer_id AS uuid) AND rule_id = ANY(CAST(:rule_ids AS text[]))
""")
SET_ACTIVE = text("""
UPDATE automation_rules a SET active = r.active
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(rule_id text, version integer, active boolean)
WHERE a.customer_id = CAST(:customer_id AS uuid) AND a.rule_id = r.rule_id AND a.version = r.version
""")
ADD_VERSIONS = text("""
INSERT INTO automation_rules (customer_id, rule_id, version, document, applied_by)
SELECT CAST(:customer_id AS uuid), document ->> 'id', CAST(document ->> 'version' AS integer), document, :applied_by
FROM jsonb_array_elements(CAST(:documents AS jsonb)) AS d(document)
""")
ACTIVE = text("""
SELECT document FROM automation_rules WHERE customer_id = CAST(:customer_id AS uuid) AND active
ORDER BY rule_id, version
""")
NOTE_CHANGES = text("""
INSERT INTO rule_changes (customer_id, rule_id, version, change, changed_by)
SELECT CAST(:customer_id AS uuid), rule_id, version, change, :changed_by
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(rule_id text, version integer, change text)
""")
HISTORY = text("""
SELECT rule_id, version, change, changed_by, changed_at FROM rule_changes
WHERE customer_id = CAST(:customer_id AS uuid) AND (CAST(:rule_id AS text) IS NULL OR rule_id = :rule_id)
ORDER BY changed_at DESC, rule_id, version LIMIT CAST(:limit AS integer)
""")
BUMP = text("UPDATE customers SET rules_version = rules_version + 1 WHERE id = CAST(:customer_id AS uuid)")
RULES = text("""
SELECT r.customer_id, c.name AS customer, r.rule_id, r.version, r.document ->> 'name' AS name,
    r.document ->> 'trigger' AS trigger, r.document ->> 'mode' AS mode, r.active, r.applied_by,
    r.created_at AS applied_at
FROM automation_rules r JOIN customers c ON c.id = r.customer_id
WHERE (CAST(:customer_id AS uuid) IS NULL OR r.customer_id = CAST(:customer_id AS uuid))
    AND (r.active OR CAST(:retired AS boolean))
ORDER BY c.name, r.rule_id, r.version
""")
DOCUMENTS = text("""
SELECT rule_id, version, active, document FROM automation_rules
WHERE customer_id = CAST(:customer_id AS uuid) AND (CAST(:rule_id AS text) IS NULL OR rule_id = :rule_id)
ORDER BY rule_id, version
""")
SWITCH = text("""
INSERT INTO rule_switches (customer_id, action_type, off, changed_by, why)
VALUES (CAST(:customer_id AS uuid), :action_type, CAST(:off AS boolean), :by, :why)
ON CONFLICT (customer_id, action_type) DO UPDATE
    SET off = EXCLUDED.off, changed_by = EXCLUDED.changed_by, why = EXCLUDED.why, changed_at = now()
""")
SWITCHES = text("""
SELECT action_type, off, changed_by, why, changed_at FROM rule_switches
WHERE customer_id = CAST(:customer_id AS uuid) ORDER BY action_type
""")
LIMIT = text("""
INSERT INTO customer_windows (customer_id, days, max_actions, max_amount_cents, changed_by)
VALUES (CAST(:customer_id AS uuid), CAST(:days AS integer), CAST(:max_actions AS bigint),
    CAST(:max_amount_cents AS bigint), :by)
ON CONFLICT (customer_id, days) DO UPDATE
    SET max_actions = EXCLUDED.max_actions, max_amount_cents = EXCLUDED.max_amount_cents,
        changed_by = EXCLUDED.changed_by, changed_at = now()
""")
UNLIMIT = text("""
DELETE FROM customer_windows
WHERE customer_id = CAST(:customer_id AS uuid) AND days = CAST(:days AS integer)
""")
LOAD_FEES = text("""
INSERT INTO fee_schedules (customer_id, payer_key, procedure, effective_from, contracted_cents)
SELECT CAST(:customer_id AS uuid), payer_key, procedure, effective_from, contracted_cents
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
    payer_key text, procedure text, effective_from date, contracted_cents bigint)
ON CONFLICT (customer_id, payer_key, procedure, effective_from)
    DO UPDATE SET contracted_cents = EXCLUDED.contracted_cents
""")


class PostgresOperatorDesk:
    """Changes what customers agreed to. Everything it does is one transaction."""

    def __init__(self, engine: Engine) -> None:
        """engine: connects as `upstream_operator`."""
        self._engine = engine

    def ensure_customer(self, name: str, *, new_id: UUID) -> Customer:
        """Return the customer of this name, made with `new_id` if there was none."""
        with database_errors(), self._engine.begin() as connection:
            connection.execute(ONE_AT_A_TIME)
            known = _customers(connection, name)
            if known:
                return known[0]
            connection.execute(ADD_CUSTOMER, {"id": str(new_id), "name": name})
            return Customer(new_id, name)

    def customer(self, name: str) -> Customer | None:
        """Return the customer of this name, or None."""
        with database_errors(), self._engine.begin() as connection:
            return next(iter(_customers(connection, name)), None)

    def customers(self) -> Sequence[Customer]:
        """Return all customers by name, without the one that stands for nobody."""
        with database_errors(), self._engine.begin() as connection:
            return _customers(connection, None)

    def set_channels(self, customer_id: UUID, channels: Sequence[Channel]) -> None:
        """Tell the customer on these channels from now on, and on no other."""
        document = _json(asdict(channel) for channel in channels)
        with database_errors(), self._engine.begin() as connection:
            connection.execute(SET_CHANNELS, {"id": str(customer_id), "channels": document})

    def apply_rules(
        self,
        customer_id: UUID,
        documents: Sequence[RuleDocument],
        *,
        applied_by: str,
        dry_run: bool = False,
        check: CheckSet | None = None,
    ) -> Sequence[RuleChange]:
        """Put exactly these versions of the rules that they name in force; other rules stay as they are."""
        with database_errors(), self._engine.begin() as connection:
            _lock(connection, customer_id)
            wanted = {_version(document): document for document in documents}
            changes = plan(_stored(connection, customer_id, wanted), wanted)
            if check is not None:
                _check(connection, customer_id, documents, check)
            if not dry_run:
                _change(connection, customer_id, wanted, changes, applied_by)
        return changes

    def rule_history(
        self, customer_id: UUID, *, rule_id: str | None = None, limit: int = 50
    ) -> Sequence[RuleChanged]:
        """Return who put which versions in and out of force, the newest first."""
        asked = {"customer_id": str(customer_id), "rule_id": rule_id, "limit": limit}
        with database_errors(), self._engine.begin() as connection:
            return [RuleChanged(**row) for row in connection.execute(HISTORY, asked).mappings()]

    def rules(self, customer_id: UUID | None = None, *, retired: bool = False) -> Sequence[StoredRule]:
        """Return stored rules by customer, rule and version. retired: versions no longer in force, too."""
        asked = {"customer_id": None if customer_id is None else str(customer_id), "retired": retired}
        with database_errors(), self._engine.begin() as connection:
            return [StoredRule(**row) for row in connection.execute(RULES, asked).mappings()]

    def documents(self, customer_id: UUID, *, rule_id: str | None = None) -> Sequence[StoredDocument]:
        """Return the customer's stored documents by rule and version."""
        asked = {"customer_id": str(customer_id), "rule_id": rule_id}
        with database_errors(), self._engine.begin() as connection:
            return [StoredDocument(**row) for row in connection.execute(DOCUMENTS, asked).mappings()]

    def switch(self, customer_id: UUID, action_type: str, *, off: bool, by: str, why: str) -> None:
        """Stop what the customer's rules do of this kind (empty: of any), or let it go on."""
        change = {"action_type": action_type, "off": off, "by": by, "why": why}
        with database_errors(), _changed(self._engine, customer_id) as connection:
            connection.execute(SWITCH, {"customer_id": str(customer_id), **change})

    def switches(self, customer_id: UUID) -> Sequence[Switch]:
        """Return what was ever switched off."""
        with database_errors(), self._engine.begin() as connection:
            rows = connection.execute(SWITCHES, {"customer_id": str(customer_id)}).mappings()
            return [Switch(**row) for row in rows]

    def limit(self, customer_id: UUID, window: Window, *, by: str) -> None:
        """Let all rules of the customer together do at most this much; no limit takes it away."""
        asked = {"customer_id": str(customer_id), "days": window.days}
        most = {"max_actions": window.max_actions, "max_amount_cents": window.max_amount_cents}
        with database_errors(), _changed(self._engine, customer_id) as connection:
            if any(value is not None for value in most.values()):
                connection.execute(LIMIT, {**asked, **most, "by": by})
            else:
                connection.execute(UNLIMIT, asked)

    def controls(self, customer_id: UUID) -> Controls:
        """Return what stops the customer's rules, and what all of them together may do."""
        with database_errors(), self._engine.begin() as connection:
            return spending.controls(connection, customer_id)

    def load_fees(self, customer_id: UUID, fees: Sequence[ContractedFee]) -> None:
        """Store what contracts say, over what was stored for the same payer, procedure and day."""
        rows = _json(asdict(fee) for fee in fees)
        with database_errors(), self._engine.begin() as connection:
            connection.execute(LOAD_FEES, {"customer_id": str(customer_id), "rows": rows})


@contextmanager
def _changed(engine: Engine, customer_id: UUID) -> Iterator[Connection]:
    """Begin a change of what rules may do, which the next event sees: compiled rules are kept by their version."""
    with engine.begin() as connection:
        _lock(connection, customer_id)
        yield connection
        connection.execute(BUMP, {"customer_id": str(customer_id)})


def _lock(connection: Connection, customer_id: UUID) -> None:
    locked = connection.execute(LOCK_RULES, {"customer_id": str(customer_id)})
    if locked.scalar_one_or_none() is None:
        raise PoisonError("unknown_customer", f"no customer {customer_id}")


Version = tuple[str, int]
Stored = Mapping[Version, tuple[RuleDocument, bool]]


def plan(stored: Stored, wanted: Mapping[Version, RuleDocument]) -> list[RuleChange]:
    """Return what makes exactly the wanted versions active, by rule and version. Pure.

    stored: document and whether it is active, of every stored version of the wanted rules.
    Raises:
        PoisonError: a stored version says something else (`invalid_rule`).
    """
    changes = [_planned(key, document, stored) for key, document in wanted.items()]
    retired = (
        RuleChange(*key, "retired") for key, (_, active) in stored.items() if active and key not in wanted
    )
    return sorted(chain(changes, retired), key=lambda change: (change.rule_id, change.version))


def _planned(key: Version, document: RuleDocument, stored: Stored) -> RuleChange:
    if key not in stored:
        return RuleChange(*key, "added")
    known, active = stored[key]
    if known != document:
        rule_id, version = key
        raise PoisonError(
            "invalid_rule",
            f"{rule_id}: version {version} is stored and says something else; a changed rule needs a new version",
        )
    return RuleChange(*key, "unchanged" if active else "restored")


def _change(
    connection: Connection,
    customer_id: UUID,
    wanted: Mapping[Version, RuleDocument],
    changes: Sequence[RuleChange],
    applied_by: str,
) -> None:
    common = {"customer_id": str(customer_id)}
    flips = [
        {"rule_id": c.rule_id, "version": c.version, "active": c.change == "restored"}
        for c in changes
        if c.change in ("retired", "restored")
    ]
    added = [wanted[c.rule_id, c.version] for c in changes if c.change == "added"]
    if flips:
        connection.execute(SET_ACTIVE, {**common, "rows": _json(flips)})
    if added:
        connection.execute(ADD_VERSIONS, {**common, "documents": _json(added), "applied_by": applied_by})
    if flips or added:
        made = [asdict(c) for c in changes if c.change != "unchanged"]
        connection.execute(NOTE_CHANGES, {**common, "rows": _json(made), "changed_by": applied_by})
        connection.execute(BUMP, common)


def _check(
    connection: Connection, customer_id: UUID, documents: Sequence[RuleDocument], check: CheckSet
) -> None:
    """Have the whole set looked at as it would be: what is in force of other rules, and these."""
    before = list(connection.execute(ACTIVE, {"customer_id": str(customer_id)}).scalars())
    named = {str(document["id"]) for document in documents}
    check(before, [*(one for one in before if one["id"] not in named), *documents])


def _stored(connection: Connection, customer_id: UUID, wanted: Iterable[Version]) -> Stored:
    rule_ids = sorted({rule_id for rule_id, _ in wanted})
    rows = connection.execute(STORED, {"customer_id": str(customer_id), "rule_ids": rule_ids})
    return {(row.rule_id, row.version): (row.document, row.active) for row in rows}


def _customers(connection: Connection, name: str | None) -> list[Customer]:
    rows = connection.execute(CUSTOMERS, {"nobody": str(NOBODY), "name": name}).mappings()
    return [_customer(row) for row in rows]


def _customer(row: RowMapping) -> Customer:
    channels = tuple(Channel(**channel) for channel in row["channels"])
    return Customer(row["id"], row["name"], channels, row["rules_version"])


def _version(document: RuleDocument) -> Version:
    version = document["version"]
    assert isinstance(version, int)  # noqa: S101 - for the type: the loader has checked it
    return str(document["id"]), version


def _json(rows: Iterable[object]) -> str:
    return orjson.dumps(list(rows)).decode()
