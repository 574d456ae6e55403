"""What FHIR servers call claims, so that an answer which names one only so is about that claim."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

OWN = "customer_id = current_setting('upstream.customer_id')::uuid"

NAMES = f"""
CREATE TABLE claim_names (
    customer_id uuid NOT NULL,
    name text NOT NULL,
    claim_number text NOT NULL,
    PRIMARY KEY (customer_id, name)
);
COMMENT ON TABLE claim_names IS 'claims that came with an identifier and with an id of their server''s';
COMMENT ON COLUMN claim_names.name IS 'connection/Claim/id: what answers over the same connection may call it';
GRANT SELECT, INSERT, UPDATE, DELETE ON claim_names TO upstream_operator;
GRANT SELECT, INSERT ON claim_names TO upstream_app;
ALTER TABLE claim_names ENABLE ROW LEVEL SECURITY;
ALTER TABLE claim_names FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON claim_names TO upstream_app USING ({OWN}) WITH CHECK ({OWN});
CREATE POLICY all_rows ON claim_names TO upstream_operator USING (true) WITH CHECK (true);
CREATE POLICY owner_rows ON claim_names TO CURRENT_USER USING (true) WITH CHECK (true);
"""
# A claim takes over the payments that came under its name before it; nothing is left to say of the name then.
WITHOUT_PAYMENTS = """
GRANT DELETE ON claims TO upstream_app;
CREATE POLICY without_payments ON claims AS RESTRICTIVE FOR DELETE TO upstream_app USING (
    submission_event_id IS NULL AND NOT EXISTS (SELECT FROM claim_payments p WHERE p.claim_id = claims.id)
);
"""


def upgrade() -> None:
    """Add the table, with its policies, and what may go once a name is known."""
    op.execute(NAMES)
    op.execute(WITHOUT_PAYMENTS)


def downgrade() -> None:
    """Migrations only go forward: a new one repairs the last."""
    raise NotImplementedError
