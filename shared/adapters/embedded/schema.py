"""The tables of the embedded runtime."""

from sqlalchemy import Engine

TABLES = """
CREATE TABLE IF NOT EXISTS keys (
    key text PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('claimed', 'settled')),
    token text NOT NULL,
    payload_sha256 text NOT NULL,
    outcome jsonb,
    lease_expires_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS connections (
    id uuid PRIMARY KEY,
    document jsonb NOT NULL
);
CREATE TABLE IF NOT EXISTS messages (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription text NOT NULL,
    message_id text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attributes jsonb NOT NULL,
    data bytea NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    visible_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS messages_next ON messages (subscription, visible_at);
ALTER TABLE messages SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
"""


def create(engine: Engine) -> None:
    """Create what is missing."""
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7237002)")
        connection.exec_driver_sql(TABLES)
