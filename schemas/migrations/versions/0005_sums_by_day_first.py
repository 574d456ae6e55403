"""Sums are read by their days, so that what a job reads does not grow with history; runs need no outbox."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEYS = """
ALTER TABLE claim_daily_reasons DROP CONSTRAINT claim_daily_reasons_pkey,
    ADD PRIMARY KEY (customer_id, day, payer_key, carc, procedure);
ALTER TABLE claim_lags DROP CONSTRAINT claim_lags_pkey,
    ADD PRIMARY KEY (customer_id, submitted_on, payer_key, lag_days);
ALTER TABLE payment_daily_lines DROP CONSTRAINT payment_daily_lines_pkey,
    ADD PRIMARY KEY (customer_id, day, payer_key, procedure);
CREATE INDEX claim_daily_stats_day ON claim_daily_stats (customer_id, day);

DROP INDEX risk_baselines_current, payer_baselines_current;
CREATE INDEX risk_baselines_current ON risk_baselines (customer_id, payer_key, procedure) WHERE NOT superseded;
CREATE INDEX payer_baselines_current ON payer_baselines (customer_id, payer_key) WHERE NOT superseded;
"""

RIGHTS = """
DROP POLICY messages_of_runs ON outbox;
REVOKE ALL ON outbox FROM upstream_scheduler;
"""


def upgrade() -> None:
    op.execute(KEYS)
    op.execute(RIGHTS)


def downgrade() -> None:
    raise NotImplementedError
