"""What a submission is checked against: letters by their claims, and which end of an authorization a renewal is for."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

ACTIONS = """
ALTER TABLE actions ADD COLUMN renews_until date;
COMMENT ON COLUMN actions.renews_until IS 'of a request for a renewal that was submitted: the last day of the authorization then, so that the next renewal is told from a repetition';
CREATE INDEX actions_letters ON actions (customer_id) WHERE params -> 'claims' IS NOT NULL;
UPDATE actions a SET renews_until = h.expires_on FROM authorizations h
WHERE a.type = 'submit_reauth_request' AND a.state IN ('committing', 'unknown', 'settled')
    AND a.subject = 'authorizations/' || h.id AND a.created_at > now() - interval '60 days';
"""


def upgrade() -> None:
    op.execute(ACTIONS)


def downgrade() -> None:
    raise NotImplementedError
