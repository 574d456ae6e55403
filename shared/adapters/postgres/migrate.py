"""Brings the schema up to the newest migration. Runs as the owner, before the code that needs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

MIGRATIONS = Path(__file__).parents[3] / "schemas" / "migrations"


# Who may act as a role, but for whoever made it: that one's membership is how it can let others in.
MEMBERS = text("""
SELECT m.rolname FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member JOIN pg_roles r ON r.oid = a.roleid
WHERE r.rolname = :role AND m.rolname NOT IN (current_user, session_user)
""")
GRANT = text("SELECT format('GRANT %I TO %I', CAST(:role AS text), CAST(:login AS text))")
REVOKE = text("SELECT format('REVOKE %I FROM %I', CAST(:role AS text), CAST(:login AS text))")
# Where pgAudit is loaded it has a setting; the database may lack its extension then.
HAS_AUDIT_LOG = text("SELECT current_setting('pgaudit.log', true) IS NOT NULL")
LACKS_EXTENSION = text("""
SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pgaudit' AND installed_version IS NULL)
""")
AUDIT = text(
    "SELECT format('ALTER ROLE %I SET pgaudit.log = %L', CAST(:login AS text), 'read,write,ddl,role')"
)
REVISION = text("SELECT version_num FROM alembic_version")


@dataclass(frozen=True, slots=True)
class Admission:
    """Which log-ins became members of a role, and which are none any more."""

    added: tuple[str, ...]
    removed: tuple[str, ...]


def migrate(engine: Engine) -> None:
    """Apply every migration not applied yet. One process at a time: the rest wait on an advisory lock."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7237001)")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def head(engine: Engine) -> str:
    """Return the newest migration applied."""
    with engine.connect() as connection:
        return str(connection.execute(REVISION).scalar_one())


def admit(engine: Engine, *, role: str, logins: Sequence[str]) -> Admission:
    """Make exactly these log-ins members of a role: one that is no longer named can no longer act as it."""
    with engine.begin() as connection:
        members = set(connection.execute(MEMBERS, {"role": role}).scalars())
        added = tuple(sorted(set(logins) - members))
        removed = tuple(sorted(members - set(logins)))
        for statement, changed in ((GRANT, added), (REVOKE, removed)):
            for login in changed:
                connection.exec_driver_sql(
                    connection.execute(statement, {"role": role, "login": login}).scalar_one()
                )
    return Admission(added, removed)


def audit(engine: Engine, *, logins: Sequence[str]) -> bool:
    """Have what these log-ins read and change written into the audit log; return False where the server has none.

    It is a setting of each log-in, since a role's does not reach its members; they cannot change it themselves. pgAudit
    writes statements without their parameters. Source: pgAudit 1.7, "Settings".
    """
    with engine.begin() as connection:
        if not connection.execute(HAS_AUDIT_LOG).scalar_one():
            return False
        if connection.execute(LACKS_EXTENSION).scalar_one():
            connection.exec_driver_sql("CREATE EXTENSION pgaudit")
        for login in logins:
            connection.exec_driver_sql(connection.execute(AUDIT, {"login": login}).scalar_one())
    return True
