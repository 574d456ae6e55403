"""One running pipeline for all functional tests: real PostgreSQL, real functions, real broker, real HTTP."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests
from sqlalchemy import Engine, text

from local.postgres import OWNER
from local.runtime import LocalRuntime
from local.threaded import ThreadedRuntime
from shared.adapters.postgres.engine import build_engine
from shared.ports.connections import Connection
from shared.runtime.bootstrap import App
from shared.runtime.settings import Settings
from shared.runtime.signatures import sign

SECRET = "whsec_" + "Q" * 43 + "="


@dataclass
class Reply:
    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]


@dataclass
class Pipeline:
    """What a test needs: send like a payer, wait, look at the record like an operator."""

    threaded: ThreadedRuntime
    log_file: Path
    app: App = field(init=False)
    operator: Engine = field(init=False)
    owner: Engine = field(init=False)
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        settings = self.threaded.runtime.settings
        self.app = App(settings)
        self.operator = build_engine(settings, user="upstream_operator", database=settings.database_name)
        self.owner = build_engine(settings, user=OWNER, database=settings.database_name)

    @property
    def url(self) -> str:
        return self.threaded.runtime.url

    def customer(self, name: str = "Practice", channels: Sequence[Mapping[str, str]] = ()) -> UUID:
        customer_id = uuid4()
        self.execute(
            "INSERT INTO customers (id, name, channels) VALUES (CAST(:id AS uuid), :name, CAST(:channels AS jsonb))",
            id=str(customer_id),
            name=name,
            channels=json.dumps(list(channels)),
        )
        return customer_id

    def connection(self, customer_id: UUID | None = None, **changes: Any) -> Connection:  # noqa: ANN401 - any field of a connection
        connection_id = uuid4()
        connection = replace(
            Connection(
                id=connection_id,
                customer_id=customer_id or self.customer(),
                provider="acme",
                scheme="standard-webhooks",
                secret_name=f"test-{connection_id}",
                rate_per_min=600_000,
                burst=10_000,
            ),
            **changes,
        )
        self.app.secret_store.add_version(connection.secret_name, SECRET)  # type: ignore[attr-defined]
        self.app.registry.put(connection)
        return connection

    def rule(self, customer_id: UUID, document: Mapping[str, Any]) -> None:
        self.execute(
            "INSERT INTO automation_rules (customer_id, rule_id, version, document, applied_by)"
            " VALUES (CAST(:customer AS uuid), :rule, CAST(:version AS integer), CAST(:document AS jsonb), 'test')",
            customer=str(customer_id),
            rule=document["id"],
            version=document["version"],
            document=json.dumps(document),
        )
        self.execute(
            "UPDATE customers SET rules_version = rules_version + 1 WHERE id = CAST(:id AS uuid)",
            id=str(customer_id),
        )

    def send(
        self,
        connection: Connection,
        body: bytes,
        *,
        delivery_id: str | None = None,
        content_type: str = "application/edi-x12",
        now: datetime | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        signed = sign(connection.scheme, delivery_id or uuid4().hex, body, SECRET, now or datetime.now(UTC))
        return self.post(
            f"/v1/webhooks/{connection.provider}/{connection.id}",
            body,
            {**signed, "Content-Type": content_type, **(headers or {})},
        )

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        answer = self.session.post(self.url + path, data=body, headers=dict(headers), timeout=30)
        return Reply(answer.status_code, answer.json() if answer.content else {}, answer.headers)

    def get(self, path: str) -> Reply:
        answer = self.session.get(self.url + path, timeout=30)
        return Reply(answer.status_code, answer.json(), answer.headers)

    def drained(self) -> bool:
        return self.threaded.drained(timeout_s=60)

    def rows(self, statement: str, **parameters: object) -> list[Mapping[str, Any]]:
        with self.operator.begin() as connection:
            return [dict(row) for row in connection.execute(text(statement), parameters).mappings()]

    def execute(self, statement: str, **parameters: object) -> None:
        with self.operator.begin() as connection:
            connection.execute(text(statement), parameters)


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    home = tmp_path_factory.mktemp("home")
    log_file = home / "functions.log"
    runtime = LocalRuntime(Settings(home=home), hosts=1, retry_scale=0.005, log_file=log_file)
    with ThreadedRuntime(runtime) as threaded:
        running = Pipeline(threaded, log_file)
        yield running
        running.session.close()
        running.operator.dispose()
        running.owner.dispose()
        running.app.engine.dispose()
        running.app.scheduler_engine.dispose()
        running.app.local_engine.dispose()
