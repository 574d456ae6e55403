"""What waits for somebody can be measured by a role that reads nobody's data: states and times, and no other column."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Both measures come from an index: dead_letters_state, outbox_unpublished.
MEASURED = """
GRANT SELECT (state) ON dead_letters TO upstream_scheduler;
GRANT SELECT (created_at, published_at) ON outbox TO upstream_scheduler;
CREATE POLICY measured ON dead_letters FOR SELECT TO upstream_scheduler USING (state = 'open');
CREATE POLICY measured ON outbox FOR SELECT TO upstream_scheduler USING (published_at IS NULL);
"""


def upgrade() -> None:
    op.execute(MEASURED)


def downgrade() -> None:
    raise NotImplementedError
