"""A connection to Cloud SQL, against a server that begins as PostgreSQL does and then says nothing."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pg8000.dbapi
import pytest

from shared.adapters.postgres.cloud_sql import ALIVE, connector_creator
from shared.runtime.settings import Settings

READY = b"R\x00\x00\x00\x08\x00\x00\x00\x00" + b"Z\x00\x00\x00\x05I"  # AuthenticationOk, ReadyForQuery


class Connector:
    """Hands pg8000 a socket of its own, as Google's connector does."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address

    def connect(self, instance: str, driver: str, *, user: str, db: str, **asked: Any) -> Any:  # noqa: ANN401 - pg8000's connection
        assert (instance, driver, asked["ip_type"]) == ("p:r:n", "pg8000", "private")
        connection = socket.create_connection(self.address)
        return pg8000.dbapi.connect(
            user, database=db, sock=connection, startup_params=asked["startup_params"]
        )


def begins_and_stops(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        assert connection.recv(8)[4:] == b"\x04\xd2\x16/"  # SSLRequest
        connection.sendall(b"N")
        assert b"upstream_app" in connection.recv(4096)
        connection.sendall(READY)
        while connection.recv(4096):
            pass


@pytest.fixture
def silent() -> Iterator[Connector]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=begins_and_stops, args=(listener,))
        server.start()
        yield Connector(listener.getsockname())
        server.join(timeout=10)
        assert not server.is_alive()


def test_a_server_that_does_not_answer_is_given_up_and_noticed_when_it_is_gone(silent: Connector) -> None:
    connect = connector_creator(
        Settings(database="p:r:n"),
        user="upstream_app",
        database="upstream",
        session={"jit": "off"},
        deadline_s=0.2,
        connector=lambda: silent,
    )
    connection = connect()
    stream = connection._usock
    assert stream.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    for name, value in ALIVE.items():
        if hasattr(socket, name):
            assert stream.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value
    with pytest.raises((OSError, pg8000.dbapi.InterfaceError)):
        connection.execute_simple("SELECT 1")
    stream.close()
    connection._sock.close()
