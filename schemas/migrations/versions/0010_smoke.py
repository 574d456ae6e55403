"""A role for `upstream smoke`: it sees one synthetic customer, and may remove what that customer's events leave."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

CANARY = "'0ca9a000-0000-4000-8000-000000000001'::uuid"

ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'upstream_smoke') THEN
        CREATE ROLE upstream_smoke LOGIN;
    END IF;
END $$;
GRANT USAGE ON SCHEMA public TO upstream_smoke;
GRANT SELECT, INSERT (id, name), UPDATE (rules_version) ON customers TO upstream_smoke;
GRANT SELECT, INSERT, UPDATE (active) ON automation_rules TO upstream_smoke;
"""

SWEPT = ("actions", "alerts", "executions", "claims", "claim_lags", "outbox", "inbox")
READ = ("notifications", "dead_letters")


def own(table: str, column: str = "customer_id") -> str:
    """Return the policy that shows the role its one customer's rows of a table."""
    mine = f"{column} = {CANARY}"
    return f"CREATE POLICY canary_rows ON {table} TO upstream_smoke USING ({mine}) WITH CHECK ({mine})"


def upgrade() -> None:
    """Make the role, with its rights and policies. The customer is made by the first smoke test."""
    op.execute(ROLE)
    op.execute(own("customers", column="id"))
    op.execute(own("automation_rules"))
    for table in SWEPT:
        op.execute(f"GRANT SELECT, DELETE ON {table} TO upstream_smoke")
        op.execute(own(table))
    for table in READ:
        op.execute(f"GRANT SELECT ON {table} TO upstream_smoke")
        op.execute(own(table))


def downgrade() -> None:
    """Migrations only go forward: a new one repairs the last."""
    raise NotImplementedError
