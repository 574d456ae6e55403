"""Paid lines by the day of service, too: a contract's fee goes by that day, and not by the day of payment.

A process of the last release still adds to `payment_daily_lines`; the jobs read both, and lines of that table by the day
of payment. It can be dropped once its newest row is 70 days old.
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE payment_service_lines (
    customer_id uuid NOT NULL,
    day date NOT NULL,
    payer_key text NOT NULL,
    procedure text NOT NULL,
    service_on date NOT NULL,
    lines integer NOT NULL,
    units bigint NOT NULL,
    received_cents bigint NOT NULL,
    PRIMARY KEY (customer_id, day, payer_key, procedure, service_on)
);
COMMENT ON TABLE payment_service_lines IS 'lines that were paid, less those taken back: what payer and patient pay for them, to hold against fee_schedules';
COMMENT ON COLUMN payment_service_lines.service_on IS 'of the line, else of its claim; the day of payment where neither has one';
COMMENT ON TABLE payment_daily_lines IS 'as payment_service_lines, of releases that kept no day of service; nothing is added any more';
GRANT SELECT, INSERT, UPDATE, DELETE ON payment_service_lines TO upstream_operator;
GRANT SELECT, INSERT, UPDATE ON payment_service_lines TO upstream_app;
ALTER TABLE payment_service_lines ENABLE ROW LEVEL SECURITY;
ALTER TABLE payment_service_lines FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON payment_service_lines TO upstream_app
    USING (customer_id = current_setting('upstream.customer_id')::uuid)
    WITH CHECK (customer_id = current_setting('upstream.customer_id')::uuid);
CREATE POLICY all_rows ON payment_service_lines TO upstream_operator USING (true) WITH CHECK (true);
CREATE POLICY owner_rows ON payment_service_lines TO CURRENT_USER USING (true) WITH CHECK (true);
"""


def upgrade() -> None:
    """Add the table, with its policies."""
    op.execute(TABLE)


def downgrade() -> None:
    """Migrations only go forward: a new one repairs the last."""
    raise NotImplementedError
