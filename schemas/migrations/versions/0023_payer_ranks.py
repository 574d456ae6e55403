"""Whose turn it was: a claim goes to one payer after the other, and it is the first one's submission and decision."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

RANKS = """
ALTER TABLE claims ADD COLUMN payer_rank smallint NOT NULL DEFAULT 1;
COMMENT ON COLUMN claims.payer_rank IS 'of its submission: 1 where the payer is asked first, 2 for the secondary, and so on';
ALTER TABLE claim_payments ADD COLUMN payer_rank smallint;
COMMENT ON COLUMN claim_payments.payer_rank IS 'as which payer it was decided; null where the advice does not say, and in rows from before there was this column';
"""


def upgrade() -> None:
    """Add the ranks."""
    op.execute(RANKS)


def downgrade() -> None:
    """Migrations only go forward: a new one repairs the last."""
    raise NotImplementedError
