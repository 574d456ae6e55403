"""A customer's domain events in the order in which they were decided: a back-test reads them page by page."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX outbox_history ON outbox (customer_id, created_at, id) WHERE topic = 'domain-events'"
    )


def downgrade() -> None:
    raise NotImplementedError
