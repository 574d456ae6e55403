"""A letter may appeal several claims: each is an appeal of its own, and says whose letter it is in."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

LETTERS = """
ALTER TABLE appeals ADD COLUMN letter_id uuid;
COMMENT ON COLUMN appeals.letter_id IS 'the action that filed the letter; null is action_id itself';
COMMENT ON COLUMN appeals.action_id IS 'names the appeal: the action that filed it, or for a further claim of the same letter an id that follows from both';
CREATE INDEX appeals_letter ON appeals (letter_id) WHERE letter_id IS NOT NULL;
"""


def upgrade() -> None:
    op.execute(LETTERS)


def downgrade() -> None:
    raise NotImplementedError
