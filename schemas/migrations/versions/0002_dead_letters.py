"""Replays of dead letters: who published one again, why, and what came of it."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LETTERS = """
ALTER TABLE dead_letters
    ADD COLUMN last_replay uuid,
    ADD COLUMN discarded_by text NOT NULL DEFAULT '',
    ADD COLUMN discarded_why text NOT NULL DEFAULT '',
    ADD COLUMN discarded_at timestamptz;
COMMENT ON COLUMN dead_letters.last_replay IS 'dead_letter_replays.id of the newest replay: a failure that names an older one is an echo';
CREATE INDEX dead_letters_age ON dead_letters (state, first_at, id);
"""

REPLAYS = """
CREATE TABLE dead_letter_replays (
    id uuid PRIMARY KEY,
    dead_letter_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    batch_id uuid NOT NULL,
    event_id uuid NOT NULL,
    replay_id text NOT NULL DEFAULT '',
    replayed_by text NOT NULL,
    why text NOT NULL,
    edited_body bytea,
    outcome text NOT NULL DEFAULT 'claimed'
        CHECK (outcome IN ('claimed', 'published', 'processed', 'failed', 'interrupted')),
    code text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_expires_at timestamptz NOT NULL,
    published_at timestamptz,
    ended_at timestamptz
);
COMMENT ON TABLE dead_letter_replays IS 'one row each time a dead letter was published again, and what came of it';
COMMENT ON COLUMN dead_letter_replays.batch_id IS 'one run of the command';
COMMENT ON COLUMN dead_letter_replays.event_id IS 'what the inbox knows the event by: its own id, or one made with replay_id';
COMMENT ON COLUMN dead_letter_replays.edited_body IS 'what was published instead of dead_letters.body, which stays as it came';
COMMENT ON COLUMN dead_letter_replays.outcome IS
    'claimed: about to be published; interrupted: its run ended before it could say whether it was; failed: a dead letter again';
CREATE UNIQUE INDEX dead_letter_replays_claimed ON dead_letter_replays (dead_letter_id) WHERE outcome = 'claimed';
CREATE INDEX dead_letter_replays_letter ON dead_letter_replays (dead_letter_id, claimed_at);
CREATE INDEX dead_letter_replays_batch ON dead_letter_replays (batch_id, outcome);
CREATE INDEX dead_letter_replays_pending ON dead_letter_replays (event_id)
    WHERE outcome IN ('claimed', 'published', 'interrupted');
"""

RIGHTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON dead_letter_replays TO upstream_operator;
GRANT SELECT, UPDATE ON dead_letter_replays TO upstream_app;
ALTER TABLE dead_letter_replays ENABLE ROW LEVEL SECURITY;
ALTER TABLE dead_letter_replays FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON dead_letter_replays TO upstream_app
    USING (customer_id = current_setting('upstream.customer_id')::uuid)
    WITH CHECK (customer_id = current_setting('upstream.customer_id')::uuid);
CREATE POLICY all_rows ON dead_letter_replays TO upstream_operator USING (true) WITH CHECK (true);
CREATE POLICY owner_rows ON dead_letter_replays TO CURRENT_USER USING (true) WITH CHECK (true);
"""


def upgrade() -> None:
    op.execute(LETTERS)
    op.execute(REPLAYS)
    op.execute(RIGHTS)


def downgrade() -> None:
    raise NotImplementedError
