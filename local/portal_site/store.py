"""What the simulated payers hold, in a database of their own: accounts, what was filed by whom, what was decided."""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Final, Literal

Kind = Literal["reauth", "appeal"]
MAX_FAILED_SIGN_INS: Final = 3

TABLES = """
CREATE TABLE IF NOT EXISTS accounts (
    portal TEXT, username TEXT, password TEXT, totp_secret TEXT, failed INTEGER DEFAULT 0, last_code INTEGER DEFAULT 0,
    PRIMARY KEY (portal, username));
CREATE TABLE IF NOT EXISTS submissions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, portal TEXT, kind TEXT, reference TEXT UNIQUE, client_reference TEXT,
    subject TEXT, member_id TEXT, username TEXT, fields TEXT, files TEXT, status TEXT, filed_at TEXT);
CREATE TABLE IF NOT EXISTS authorizations (
    portal TEXT, number TEXT, status TEXT, new_number TEXT DEFAULT '', effective_on TEXT DEFAULT '',
    expires_on TEXT DEFAULT '', units INTEGER, reason TEXT DEFAULT '', PRIMARY KEY (portal, number));
CREATE TABLE IF NOT EXISTS claims (
    portal TEXT, number TEXT, status TEXT, payer_claim_number TEXT DEFAULT '', paid_cents INTEGER,
    decided_on TEXT DEFAULT '', carc TEXT DEFAULT '', PRIMARY KEY (portal, number));
"""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of one portal. totp_secret: empty where a password is enough."""

    portal: str
    username: str
    password: str
    totp_secret: str = ""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it arrived."""

    name: str
    filename: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Filed:
    """One submission that a portal took. subject: the claim's or authorization's number."""

    portal: str
    kind: Kind
    reference: str
    client_reference: str
    subject: str
    member_id: str
    username: str
    fields: Mapping[str, str]
    files: tuple[Upload, ...]
    status: str
    filed_at: datetime


@dataclass(frozen=True, slots=True)
class AuthorizationFile:
    """What a payer decided of an authorization. status: Approved, Denied or In review."""

    status: str
    new_number: str = ""
    effective_on: str = ""
    expires_on: str = ""
    units: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ClaimFile:
    """What a payer decided of a claim. status: Paid, Denied or In process."""

    status: str
    payer_claim_number: str = ""
    paid_cents: int | None = None
    decided_on: str = ""
    carc: str = ""


class Store:
    """The payers' database. Safe under threads: one connection, one statement at a time."""

    def __init__(self, path: Path | None, *, clock: Callable[[], datetime]) -> None:
        """path: its file; None keeps it in memory."""
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(TABLES)
        self._lock = Lock()
        self.clock = clock

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    def put_account(self, account: Account) -> None:
        """Open an account, or give it another password; either way it is not locked."""
        self._run(
            "INSERT OR REPLACE INTO accounts (portal, username, password, totp_secret) VALUES (?, ?, ?, ?)",
            (account.portal, account.username, account.password, account.totp_secret),
        )

    def account(self, portal: str, username: str) -> Account | None:
        """Return an account, locked or not."""
        rows = self._run("SELECT * FROM accounts WHERE portal = ? AND username = ?", (portal, username))
        return (
            Account(*(rows[0][at] for at in ("portal", "username", "password", "totp_secret")))
            if rows
            else None
        )

    def is_locked(self, account: Account) -> bool:
        """Whether too many wrong passwords came."""
        return self.failed_sign_ins(account.portal, account.username) >= MAX_FAILED_SIGN_INS

    def note_failed(self, account: Account) -> None:
        """Count a wrong password."""
        self._run(
            "UPDATE accounts SET failed = failed + 1 WHERE portal = ? AND username = ?",
            (account.portal, account.username),
        )

    def take_code(self, account: Account, window: int) -> bool:
        """Whether a one-time code of this window is good: each is, once, and none older than the last."""
        return bool(
            self._run(
                "UPDATE accounts SET last_code = ? WHERE portal = ? AND username = ? AND last_code < ? RETURNING 1",
                (window, account.portal, account.username, window),
            )
        )

    def file(
        self,
        portal: str,
        kind: Kind,
        *,
        username: str,
        fields: Mapping[str, str],
        files: Sequence[Upload],
    ) -> str:
        """Keep a submission, and return its confirmation number. A portal does not mind taking the same twice."""
        subject = fields.get("claim_number") or fields.get("authorization_number", "")
        with self._lock, closing(self._db.cursor()) as cursor:
            cursor.execute("BEGIN")
            cursor.execute(
                "INSERT INTO submissions (portal, kind, client_reference, subject, member_id, username, fields, files,"
                " status, filed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'Received', ?)",
                (
                    *(portal, kind, fields.get("client_reference", ""), subject, fields.get("member_id", "")),
                    *(username, json.dumps(dict(fields)), json.dumps([_as_list(file) for file in files])),
                    self.clock().isoformat(),
                ),
            )
            reference = f"{PREFIX[portal]}{'R' if kind == 'reauth' else 'A'}{cursor.lastrowid:08d}"
            cursor.execute(
                "UPDATE submissions SET reference = ? WHERE number = ?", (reference, cursor.lastrowid)
            )
            cursor.execute("COMMIT")
        if kind == "reauth":
            self.decide_authorization(portal, subject, AuthorizationFile("In review"))
        return reference

    def submissions(self, portal: str = "", *, client_reference: str = "") -> list[Filed]:
        """Return what was filed, oldest first."""
        rows = self._run(
            "SELECT * FROM submissions WHERE ? IN ('', portal) AND ? IN ('', client_reference) ORDER BY number",
            (portal, client_reference),
        )
        return [_filed(row) for row in rows]

    def search(
        self, portal: str, kind: Kind, *, client_reference: str, subject: str, indexed_after: timedelta
    ) -> list[Filed]:
        """Return what the portal's own search lists: submissions show once they have been indexed."""
        newest = self.clock() - indexed_after
        return [
            filed
            for filed in self.submissions(portal)
            if filed.kind == kind
            and filed.filed_at <= newest
            and (filed.client_reference == client_reference if client_reference else filed.subject == subject)
        ]

    def decide_authorization(self, portal: str, number: str, decided: AuthorizationFile) -> None:
        """Have a payer decide an authorization, or its renewal, under the number that was asked for."""
        self._run(
            "INSERT OR REPLACE INTO authorizations VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(portal, number, decided.status, decided.new_number, decided.effective_on),
                *(decided.expires_on, decided.units, decided.reason),
            ),
        )

    def authorization(self, portal: str, number: str) -> AuthorizationFile | None:
        """Return what is held under a number, or under the reference of a request to renew it."""
        rows = self._run(
            "SELECT status, new_number, effective_on, expires_on, units, reason FROM authorizations"
            " WHERE portal = ? AND number IN (?, (SELECT subject FROM submissions WHERE portal = ? AND reference = ?))",
            (portal, number, portal, number),
        )
        return AuthorizationFile(*rows[0]) if rows else None

    def decide_claim(self, portal: str, number: str, decided: ClaimFile) -> None:
        """Have a payer decide a claim."""
        self._run(
            "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(portal, number, decided.status, decided.payer_claim_number),
                *(decided.paid_cents, decided.decided_on, decided.carc),
            ),
        )

    def claim(self, portal: str, number: str) -> ClaimFile | None:
        """Return what is held under a claim's number."""
        rows = self._run(
            "SELECT status, payer_claim_number, paid_cents, decided_on, carc FROM claims"
            " WHERE portal = ? AND number = ?",
            (portal, number),
        )
        return ClaimFile(*rows[0]) if rows else None

    def failed_sign_ins(self, portal: str, username: str) -> int:
        """Return how many wrong passwords came."""
        rows = self._run("SELECT failed FROM accounts WHERE portal = ? AND username = ?", (portal, username))
        return int(rows[0]["failed"]) if rows else 0

    def _run(self, statement: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        with self._lock, closing(self._db.execute(statement, values)) as cursor:
            return cursor.fetchall()


PREFIX: Final = {"aetna": "AE", "uhc": "U", "blue_cross": "BC"}


def _as_list(file: Upload) -> list[object]:
    return [file.name, file.filename, file.bytes, file.sha256]


def _filed(row: sqlite3.Row) -> Filed:
    return Filed(
        portal=row["portal"],
        kind=row["kind"],
        reference=row["reference"],
        client_reference=row["client_reference"],
        subject=row["subject"],
        member_id=row["member_id"],
        username=row["username"],
        fields=json.loads(row["fields"]),
        files=tuple(Upload(*file) for file in json.loads(row["files"])),
        status=row["status"],
        filed_at=datetime.fromisoformat(row["filed_at"]),
    )
