"""What rules may do without a person: switches, windows over all of a customer's rules, and what was used, by day."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE rule_switches (
    customer_id uuid NOT NULL,
    action_type text NOT NULL,
    off boolean NOT NULL,
    changed_by text NOT NULL,
    why text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, action_type)
);
COMMENT ON TABLE rule_switches IS 'off: rules that ask for this action leave everything to a person; action_type empty: all of the customer''s rules do';

CREATE TABLE customer_windows (
    customer_id uuid NOT NULL,
    days integer NOT NULL,
    max_actions bigint,
    max_amount_cents bigint,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, days)
);
COMMENT ON TABLE customer_windows IS 'what all of a customer''s rules together may do in any so many days; a null is no limit';

CREATE TABLE rule_spending (
    customer_id uuid NOT NULL,
    scope text NOT NULL,
    day date NOT NULL,
    actions integer NOT NULL,
    amount_cents bigint NOT NULL,
    PRIMARY KEY (customer_id, scope, day)
);
COMMENT ON TABLE rule_spending IS 'what rules with windows did on a day: by rule, and of all rules together; read and written under the customer''s advisory lock';
"""

WINDOWS = """
CREATE INDEX claim_daily_stats_payer_day ON claim_daily_stats (customer_id, payer_key, day);
"""

RIGHTS = """
GRANT SELECT ON rule_switches, customer_windows TO upstream_app;
GRANT SELECT, INSERT, UPDATE ON rule_spending TO upstream_app;
"""


def isolate(table: str) -> str:
    own = "customer_id = current_setting('upstream.customer_id')::uuid"
    return f"""
    GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO upstream_operator;
    ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
    ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
    CREATE POLICY own_rows ON {table} TO upstream_app USING ({own}) WITH CHECK ({own});
    CREATE POLICY all_rows ON {table} TO upstream_operator USING (true) WITH CHECK (true);
    CREATE POLICY owner_rows ON {table} TO CURRENT_USER USING (true) WITH CHECK (true);
    """


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(WINDOWS)
    op.execute(RIGHTS)
    for table in ("rule_switches", "customer_windows", "rule_spending"):
        op.execute(isolate(table))


def downgrade() -> None:
    raise NotImplementedError
