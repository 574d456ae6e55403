"""Roles as Cloud SQL has them: who migrates owns nothing itself, functions and engineers log in as themselves."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from cli.app import app
from local.postgres import LocalPostgres
from shared.adapters.postgres.engine import build_engine
from shared.adapters.postgres.record import tenant
from shared.runtime.settings import Settings, to_environment

MIGRATOR = "migrator@project.iam"
FUNCTION = "process-webhook@project.iam"
JOB = "build-risk-baselines@project.iam"
ENGINEER = "engineer@example.org"
CANARY = "canary@project.iam"
ROLES = f"""
CREATE ROLE cloudsqlsuperuser NOLOGIN CREATEROLE CREATEDB;
CREATE ROLE "{MIGRATOR}" LOGIN;
CREATE ROLE "{FUNCTION}" LOGIN;
CREATE ROLE "{JOB}" LOGIN;
CREATE ROLE "{ENGINEER}" LOGIN;
CREATE ROLE "{CANARY}" LOGIN;
GRANT cloudsqlsuperuser TO "{MIGRATOR}";
"""
LOGINS = (
    *("--app-login", FUNCTION, "--scheduler-login", JOB),
    *("--smoke-login", CANARY, "--operator-login", ENGINEER),
)
CUSTOMERS = text("SELECT id FROM customers WHERE name <> 'Unattributed'")


class CloudSql:
    """A server with a database owned by `cloudsqlsuperuser`, and log-ins that own nothing."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        postgres = self.engine("postgres", database="postgres", autocommit=True)
        with postgres.connect() as connection:
            connection.exec_driver_sql(ROLES)
            connection.exec_driver_sql("CREATE DATABASE upstream OWNER cloudsqlsuperuser")
        postgres.dispose()

    def engine(self, user: str, *, database: str = "upstream", autocommit: bool = False) -> Engine:
        return build_engine(self.settings, user=user, database=database, autocommit=autocommit)

    def migrate(self, *words: str) -> Any:  # noqa: ANN401 - JSON
        environment = {**to_environment(self.settings), "UPSTREAM_DATABASE_USER": MIGRATOR}
        command = ["migrate", "--owner-role", "cloudsqlsuperuser", "--json", *words]
        result = CliRunner().invoke(app, command, env=environment)
        assert result.exit_code == 0, (result.stdout, result.stderr, result.exception)
        return json.loads(result.stdout)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudSql]:
    home = tmp_path_factory.mktemp("cloud")
    with LocalPostgres(home) as postgres:
        yield CloudSql(replace(Settings(home=home), database=postgres.socket_folder))


def test_functions_are_bound_by_policies_and_engineers_see_all(cloud: CloudSql) -> None:
    told = cloud.migrate(*LOGINS)
    added = {role: change["added"] for role, change in told["members"].items()}
    assert added == {
        "upstream_app": [FUNCTION],
        "upstream_scheduler": [JOB],
        "upstream_operator": [ENGINEER],
        "upstream_smoke": [CANARY],
    }
    ours, theirs = uuid4(), uuid4()
    engineer, function, job = cloud.engine(ENGINEER), cloud.engine(FUNCTION), cloud.engine(JOB)
    with engineer.begin() as connection:
        for customer in (ours, theirs):
            connection.execute(text("INSERT INTO customers (id, name) VALUES (:id, 'x')"), {"id": customer})
        assert set(connection.execute(CUSTOMERS).scalars()) == {ours, theirs}
    with tenant(function, ours) as connection:
        assert list(connection.execute(CUSTOMERS).scalars()) == [ours]
    for forbidden in ("CREATE TABLE mine (id int)", "DROP TABLE claims", "SET ROLE cloudsqlsuperuser"):
        with pytest.raises(DBAPIError, match="42501"), function.begin() as connection:
            connection.exec_driver_sql(forbidden)
    with job.begin() as connection:
        assert {ours, theirs} <= set(connection.execute(text("SELECT id FROM customers")).scalars())
    with pytest.raises(DBAPIError, match="42501"), job.begin() as connection:
        connection.exec_driver_sql("SELECT * FROM claims")
    for engine in (engineer, function, job):
        engine.dispose()


def test_a_second_run_changes_nothing(cloud: CloudSql) -> None:
    first, second = cloud.migrate(*LOGINS), cloud.migrate(*LOGINS)
    assert second["revision"] == first["revision"]
    assert all(change == {"added": [], "removed": []} for change in second["members"].values())


def test_an_engineer_who_is_no_longer_named_is_let_in_no_more(cloud: CloudSql) -> None:
    cloud.migrate(*LOGINS)
    told = cloud.migrate(*LOGINS[:-2])
    assert told["members"]["upstream_operator"]["removed"] == [ENGINEER]
    engine = cloud.engine(ENGINEER)
    with pytest.raises(DBAPIError, match="42501"), engine.begin() as connection:
        connection.execute(CUSTOMERS)
    engine.dispose()


def test_what_engineers_do_is_in_the_audit_log_and_what_functions_do_is_not(cloud: CloudSql) -> None:
    assert cloud.migrate(*LOGINS)["audited"] is False  # no pgAudit here
    owner = cloud.engine("postgres", autocommit=True)
    # Its setting, as Cloud SQL's flag has it, and what the owner may do there.
    with owner.connect() as connection:
        connection.exec_driver_sql("ALTER DATABASE upstream SET pgaudit.log = 'ddl,role'")
        connection.exec_driver_sql("GRANT SET ON PARAMETER pgaudit.log TO cloudsqlsuperuser")
        connection.exec_driver_sql(f'GRANT "{ENGINEER}" TO cloudsqlsuperuser WITH ADMIN OPTION')
        assert cloud.migrate(*LOGINS)["audited"] is True
        assert cloud.migrate(*LOGINS)["audited"] is True
        set_for = connection.exec_driver_sql(
            "SELECT r.rolname, s.setconfig FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole"
        )
        assert [tuple(row) for row in set_for] == [(ENGINEER, ["pgaudit.log=read,write,ddl,role"])]
    owner.dispose()
    engineer, function = cloud.engine(ENGINEER), cloud.engine(FUNCTION)
    for engine, classes in ((engineer, "read,write,ddl,role"), (function, "ddl,role")):
        with engine.begin() as connection:
            assert connection.exec_driver_sql("SHOW pgaudit.log").scalar_one() == classes
        engine.dispose()


def test_without_a_database_it_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["migrate"], env={"UPSTREAM_HOME": str(tmp_path), "UPSTREAM_DATABASE": ""}
    )
    assert result.exit_code == 1
    assert "UPSTREAM_DATABASE" in result.stderr
