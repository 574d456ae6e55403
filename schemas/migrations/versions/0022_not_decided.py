"""Answers of payers that decide nothing yet: a status of their own, where they counted as paid with nothing.

Until a release is complete a process of the last one may fold such an answer into its claim; the next fold undoes that.
"""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

# Every row keeps to the narrower check that goes, so that there is nothing to validate.
STATUSES = """
ALTER TABLE claim_payments
    DROP CONSTRAINT claim_payments_status_check,
    ADD CONSTRAINT claim_payments_status_check
        CHECK (status IN ('paid', 'partially_paid', 'denied', 'reversed', 'not_decided')) NOT VALID;
ALTER TABLE claims
    DROP CONSTRAINT claims_status_check,
    ADD CONSTRAINT claims_status_check
        CHECK (status IN ('submitted', 'paid', 'partially_paid', 'denied', 'reversed', 'not_decided')) NOT VALID;
"""


def upgrade() -> None:
    """Take the new status."""
    op.execute(STATUSES)


def downgrade() -> None:
    """Migrations only go forward: a new one repairs the last."""
    raise NotImplementedError
