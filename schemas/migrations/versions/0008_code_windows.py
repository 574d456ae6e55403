"""Which one-time codes were typed: a portal takes each once, whichever worker types it."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE portal_code_windows (
    customer_id uuid NOT NULL,
    account text NOT NULL,
    last_window bigint NOT NULL,
    PRIMARY KEY (customer_id, account)
);
COMMENT ON TABLE portal_code_windows IS 'the newest window of an account''s codes that was used; account: a hash. Rows are nobody''s, as portal_seats';
GRANT SELECT, INSERT, UPDATE, DELETE ON portal_code_windows TO upstream_operator;
GRANT SELECT, INSERT, UPDATE ON portal_code_windows TO upstream_app;
ALTER TABLE portal_code_windows ENABLE ROW LEVEL SECURITY;
ALTER TABLE portal_code_windows FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON portal_code_windows TO upstream_app
    USING (customer_id = current_setting('upstream.customer_id')::uuid)
    WITH CHECK (customer_id = current_setting('upstream.customer_id')::uuid);
CREATE POLICY all_rows ON portal_code_windows TO upstream_operator USING (true) WITH CHECK (true);
CREATE POLICY owner_rows ON portal_code_windows TO CURRENT_USER USING (true) WITH CHECK (true);
"""


def upgrade() -> None:
    op.execute(TABLE)


def downgrade() -> None:
    raise NotImplementedError
