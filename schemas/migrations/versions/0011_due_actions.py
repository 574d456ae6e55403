"""Which customers have actions that wait for a message: a scheduled job asks, as a role that reads none of them."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INDEX = """
CREATE INDEX actions_unfinished ON actions (due_at)
    WHERE ended_at IS NULL AND state IN ('requested', 'claimed', 'committing', 'unknown')
"""

# Runs as the tables' owner: who calls it learns ids of customers and nothing of their actions.
DUE = """
CREATE FUNCTION customers_with_due_actions(at timestamptz, stale_before timestamptz) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
    SELECT DISTINCT a.customer_id FROM actions a
    WHERE a.ended_at IS NULL AND a.state IN ('requested', 'claimed', 'committing', 'unknown')
        AND (a.parked OR a.updated_at < stale_before)
        AND coalesce(a.due_at, '-infinity') <= at AND coalesce(a.lease_expires_at, '-infinity') <= at
        AND NOT ((a.state IN ('requested', 'claimed') OR (a.state = 'unknown' AND a.code = 'switched_off'))
            AND EXISTS (SELECT 1 FROM rule_switches s
                WHERE s.customer_id = a.customer_id AND s.off AND s.action_type IN ('', a.type)))
$$;
REVOKE ALL ON FUNCTION customers_with_due_actions(timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION customers_with_due_actions(timestamptz, timestamptz)
    TO upstream_scheduler, upstream_operator;
"""


def upgrade() -> None:
    op.execute(INDEX)
    op.execute(DUE)


def downgrade() -> None:
    raise NotImplementedError
