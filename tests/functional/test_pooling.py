"""What a transaction set does not outlive it, whoever gets its connection next (docs/adr/0012). On real PostgreSQL."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from shared.adapters.postgres.engine import build_engine
from shared.adapters.postgres.record import tenant
from shared.runtime.errors import TransientError

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

POOL: Final = 3
THREADS: Final = 12
TRANSACTIONS: Final = 600
VISIBLE = text("SELECT id FROM customers")
PID = text("SELECT pg_backend_pid()")
END = text("SELECT pg_terminate_backend(CAST(:pid AS integer), 5000)")
BROKEN = text("SELECT CAST('none' AS integer)")


class Unhappy(Exception):  # noqa: N818 - an error that a handler might raise, not one of ours
    """Ends a transaction by rollback."""


@pytest.fixture
def engine(pipeline: "Pipeline") -> Iterator[Engine]:
    settings = replace(pipeline.app.settings, pool_size=POOL)
    engine = build_engine(
        settings,
        user=settings.database_user,
        database=settings.database_name,
    )
    yield engine
    engine.dispose()


@pytest.fixture
def customers(pipeline: "Pipeline") -> list[UUID]:
    return [pipeline.customer() for _ in range(5)]


def seen(connection: Connection) -> list[str]:
    return [str(key) for key in connection.execute(VISIBLE).scalars()]


def one_transaction(engine: Engine, customer: UUID, ending: str) -> tuple[list[str], int]:
    """Return which customers a transaction of this one saw, and its backend, however it ended."""
    rows: list[str] = []
    pid = 0
    with suppress(Unhappy), tenant(engine, customer) as connection:
        rows, pid = seen(connection), connection.execute(PID).scalar_one()
        if ending == "raises":
            raise Unhappy
        if ending == "fails":
            with pytest.raises(DBAPIError):
                connection.execute(BROKEN)
            raise Unhappy
    return rows, pid


def test_more_threads_than_connections_each_see_their_own_customer_only(
    engine: Engine, customers: list[UUID]
) -> None:
    work = islice(
        zip(cycle(customers), cycle(["commits", "commits", "raises", "fails"]), strict=False), TRANSACTIONS
    )
    with ThreadPoolExecutor(THREADS) as threads:
        futures = [
            (customer, threads.submit(one_transaction, engine, customer, end)) for customer, end in work
        ]
        backends = set()
        for customer, future in futures:
            rows, pid = future.result()
            assert rows == [str(customer)]
            backends.add(pid)
    assert 1 < len(backends) <= POOL


@pytest.mark.parametrize("ending", ["commits", "raises", "fails"])
def test_a_transaction_that_forgot_its_customer_raises_on_a_connection_that_just_served_one(
    engine: Engine, customers: list[UUID], ending: str
) -> None:
    assert one_transaction(engine, customers[0], ending)[0] == [str(customers[0])]
    with pytest.raises(DBAPIError, match="uuid"), engine.begin() as connection:
        seen(connection)


def test_a_killed_backend_is_replaced_and_its_successor_knows_no_customer(
    engine: Engine, customers: list[UUID], pipeline: "Pipeline"
) -> None:
    _, pid = one_transaction(engine, customers[0], "commits")
    with pipeline.app.engine.begin() as connection:  # the same role: it may end its own
        assert connection.execute(END, {"pid": pid}).scalar_one()
    with pytest.raises(TransientError), tenant(engine, customers[0]):
        pass
    assert one_transaction(engine, customers[1], "commits")[0] == [str(customers[1])]
    with pytest.raises(DBAPIError), engine.begin() as connection:
        seen(connection)


def test_a_connection_to_a_server_that_is_gone_leaves_nothing_to_the_collector(pipeline: "Pipeline") -> None:
    engine = build_engine(pipeline.app.settings, user="upstream_app", database="upstream")
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        stream = driver._sock
        driver._usock.shutdown(socket.SHUT_RDWR)
    engine.dispose()
    assert stream.closed
