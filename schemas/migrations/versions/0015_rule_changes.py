"""Who put which version of a rule in force, and out of it."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

OWN = "customer_id = current_setting('upstream.customer_id')::uuid"

CHANGES = f"""
CREATE TABLE rule_changes (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    customer_id uuid NOT NULL,
    rule_id text NOT NULL,
    version integer NOT NULL,
    change text NOT NULL CHECK (change IN ('added', 'restored', 'retired')),
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE rule_changes IS 'part of the audit trail; never changed. What was done before it was kept is not in it';
CREATE INDEX rule_changes_rule ON rule_changes (customer_id, rule_id, changed_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON rule_changes TO upstream_operator;
GRANT SELECT ON rule_changes TO upstream_app;
ALTER TABLE rule_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE rule_changes FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON rule_changes TO upstream_app USING ({OWN}) WITH CHECK ({OWN});
CREATE POLICY all_rows ON rule_changes TO upstream_operator USING (true) WITH CHECK (true);
CREATE POLICY owner_rows ON rule_changes TO CURRENT_USER USING (true) WITH CHECK (true);
"""


def upgrade() -> None:
    op.execute(CHANGES)


def downgrade() -> None:
    raise NotImplementedError
