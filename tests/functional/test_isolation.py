"""One customer never sees another: as the application's own role, in every table."""

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.adapters.postgres.record import tenant

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

TENANT_TABLES = """
SELECT c.relname AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,
    EXISTS (SELECT FROM pg_policies p WHERE p.tablename = c.relname AND p.policyname = 'own_rows') AS own_rows
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND c.relname <> 'alembic_version'
ORDER BY 1
"""


def test_every_table_has_its_policy(pipeline: "Pipeline") -> None:
    tables = pipeline.rows(TENANT_TABLES)
    assert len(tables) >= 15
    for table in tables:
        assert (table["enabled"], table["forced"], table["own_rows"]) == (True, True, True), table["name"]


def test_the_application_connects_as_a_role_that_policies_bind(pipeline: "Pipeline") -> None:
    with tenant(pipeline.app.engine, uuid4()) as connection:
        role = connection.exec_driver_sql(
            "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).one()
        owned = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tableowner = current_user"
        ).scalar_one()
    assert tuple(role) == (False, False)
    assert owned == 0


def test_another_customers_rows_are_invisible_and_unwritable_in_every_table(pipeline: "Pipeline") -> None:
    ours, theirs = pipeline.customer("Ours"), pipeline.customer("Theirs")
    connection = pipeline.connection(theirs)
    body = b'{"no": "format"}'
    pipeline.send(connection, body, content_type="application/json")  # leaves a dead letter, and inbox rows
    assert pipeline.drained()
    with tenant(pipeline.app.engine, ours) as session:
        for table in pipeline.rows(TENANT_TABLES):
            column = "id" if table["name"] == "customers" else "customer_id"
            seen = session.execute(
                text(f"SELECT count(*) FROM {table['name']} WHERE {column} = CAST(:id AS uuid)"),  # noqa: S608
                {"id": str(theirs)},
            ).scalar_one()
            assert seen == 0, table["name"]
            foreign = session.execute(
                text(f"SELECT count(*) FROM {table['name']} WHERE {column} <> CAST(:id AS uuid)"),  # noqa: S608
                {"id": str(ours)},
            ).scalar_one()
            assert foreign == 0, table["name"]
    assert pipeline.rows("SELECT 1 FROM dead_letters WHERE customer_id = CAST(:id AS uuid)", id=str(theirs))


def test_a_row_cannot_be_written_for_another_customer(pipeline: "Pipeline") -> None:
    ours, theirs = pipeline.customer("Ours"), pipeline.customer("Theirs")
    with pytest.raises(DBAPIError, match="row-level security"), tenant(pipeline.app.engine, ours) as session:
        session.execute(
            text(
                "INSERT INTO notifications (id, channel_id, customer_id, outcome)"
                " VALUES (CAST(:id AS uuid), 'mail', CAST(:theirs AS uuid), 'delivered')"
            ),
            {"id": str(uuid4()), "theirs": str(theirs)},
        )


def test_updates_do_not_reach_another_customers_rows(pipeline: "Pipeline") -> None:
    ours, theirs = pipeline.customer("Ours"), pipeline.customer("Theirs")
    _claim(pipeline, theirs)
    with tenant(pipeline.app.engine, ours) as session:
        changed = session.exec_driver_sql("UPDATE claims SET paid_cents = 1").rowcount
    assert changed == 0
    assert pipeline.rows(
        "SELECT paid_cents FROM claims WHERE customer_id = CAST(:id AS uuid)", id=str(theirs)
    ) == [{"paid_cents": 0}]


def test_a_transaction_without_a_customer_raises_rather_than_reads_as_empty(pipeline: "Pipeline") -> None:
    _claim(pipeline, pipeline.customer())
    with pytest.raises(DBAPIError), pipeline.app.engine.begin() as session:
        session.exec_driver_sql("SELECT count(*) FROM claims")
    with tenant(pipeline.app.engine, uuid4()) as session:
        session.exec_driver_sql("SELECT 1")
    with pytest.raises(DBAPIError), pipeline.app.engine.begin() as session:  # after a tenant's turn as well
        session.exec_driver_sql("SELECT count(*) FROM claims")


def _claim(pipeline: "Pipeline", customer_id: UUID) -> None:
    pipeline.execute(
        "INSERT INTO claims (id, customer_id, claim_number, payer_key, payer_name, charge_cents, status)"
        " VALUES (CAST(:id AS uuid), CAST(:customer AS uuid), 'C1', 'acme', 'Acme', 100, 'submitted')",
        id=str(uuid4()),
        customer=str(customer_id),
    )
