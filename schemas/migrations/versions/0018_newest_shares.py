"""How far each customer is with each job, so that a share which comes late does not undo what a later one did."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE newest_shares (
    customer_id uuid NOT NULL,
    job text NOT NULL,
    slot timestamptz NOT NULL,
    PRIMARY KEY (customer_id, job)
);
COMMENT ON TABLE newest_shares IS 'the latest slot that a customer''s share was done of; an earlier one has nothing left to do';
GRANT SELECT, INSERT, UPDATE, DELETE ON newest_shares TO upstream_operator;
GRANT SELECT, INSERT, UPDATE ON newest_shares TO upstream_app;
ALTER TABLE newest_shares ENABLE ROW LEVEL SECURITY;
ALTER TABLE newest_shares FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON newest_shares TO upstream_app
    USING (customer_id = current_setting('upstream.customer_id')::uuid)
    WITH CHECK (customer_id = current_setting('upstream.customer_id')::uuid);
CREATE POLICY all_rows ON newest_shares TO upstream_operator USING (true) WITH CHECK (true);
CREATE POLICY owner_rows ON newest_shares TO CURRENT_USER USING (true) WITH CHECK (true);
"""
SO_FAR = """
INSERT INTO newest_shares (customer_id, job, slot)
SELECT t.customer_id, r.job, max(r.slot) FROM job_tasks t JOIN job_runs r ON r.id = t.run_id
WHERE t.state = 'done' AND r.job <> 'release_actions' AND NOT r.options ? 'from'
GROUP BY t.customer_id, r.job
"""


def upgrade() -> None:
    """Add the table, with its policies, and what was done before."""
    op.execute(TABLE)
    op.execute(SO_FAR)


def downgrade() -> None:
    """Migrations only go forward: a new one repairs the last."""
    raise NotImplementedError
