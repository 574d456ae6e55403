"""What a version of a FHIR resource adds to the sums of paid lines, and whether it is in them: only the newest is."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# Until this release every version was counted as it came, and so is what a process of the last release still adds.
LINES = """
ALTER TABLE claim_payments
    ADD COLUMN daily_lines jsonb,
    ADD COLUMN lines_counted boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN claim_payments.daily_lines IS 'of a version of a resource: its rows of payment_daily_lines; null where they were counted once and for all';
COMMENT ON COLUMN claim_payments.lines_counted IS 'whether payment_daily_lines has them: the newest version, unless it is withdrawn';
"""


def upgrade() -> None:
    op.execute(LINES)


def downgrade() -> None:
    raise NotImplementedError
