"""Topics that keep what was published, acknowledged or not, as Pub/Sub does for seven days. Outside PostgreSQL."""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson

from shared.domain.events import Message

TABLE = """
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    published_at TEXT NOT NULL,
    attributes BLOB NOT NULL,
    data BLOB NOT NULL
)
"""
NEXT = "SELECT seq, topic, attributes, data FROM messages WHERE seq > ? AND topic = ? ORDER BY seq LIMIT 1"


class RetainedTopics:
    """One file, synced at each publish. A subscription is a position in it."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        """path: a file that is not there yet. durable: off for a run that nothing happens to."""
        self._file = sqlite3.connect(path, isolation_level=None)
        self._file.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
        self._file.execute(TABLE)

    def publish(self, messages: Sequence[Message]) -> None:
        """Return once every message is on disk."""
        now = datetime.now(UTC).isoformat()
        self._file.execute("BEGIN")
        self._file.executemany(
            "INSERT INTO messages (topic, published_at, attributes, data) VALUES (?, ?, ?, ?)",
            [(m.topic, now, orjson.dumps(dict(m.attributes)), m.data) for m in messages],
        )
        self._file.execute("COMMIT")

    def after(self, position: int, topic: str) -> Iterator[tuple[int, Message]]:
        """Yield what a topic has beyond a position, in order; what is published meanwhile too."""
        while row := self._file.execute(NEXT, (position, topic)).fetchone():
            position = row[0]
            yield position, Message(row[1], row[3], orjson.loads(row[2]))

    def position(self, at: datetime | None = None) -> int:
        """Return the position before the first message of a time, or after the last message."""
        found = self._file.execute(
            "SELECT max(seq) FROM messages WHERE published_at < ?",
            ((at or datetime.max.replace(tzinfo=UTC)).isoformat(),),
        ).fetchone()
        return int(found[0] or 0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
