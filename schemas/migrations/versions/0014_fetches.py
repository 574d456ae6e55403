"""Who named what is to be fetched, how often it was tried, and which delivery it became."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

FETCHES = """
ALTER TABLE fetch_tasks
    ADD COLUMN connection_id text NOT NULL DEFAULT '',
    ADD COLUMN attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN next_at timestamptz,
    ADD COLUMN code text NOT NULL DEFAULT '',
    ADD COLUMN fetched_event_id uuid;
COMMENT ON COLUMN fetch_tasks.connection_id IS 'whose sender named it; empty of what was named before this was noted';
COMMENT ON COLUMN fetch_tasks.next_at IS 'not before: the next attempt, or the end of the lease of the one under way';
COMMENT ON COLUMN fetch_tasks.fetched_event_id IS 'the delivery that it became';
CREATE INDEX fetch_tasks_due ON fetch_tasks (next_at) WHERE state = 'waiting';
"""


def upgrade() -> None:
    op.execute(FETCHES)


def downgrade() -> None:
    raise NotImplementedError
