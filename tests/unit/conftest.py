import socket
from typing import Never

import pytest


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit test that reaches for the network says so at once, on any machine, instead of passing on some."""

    def refuse(_socket: socket.socket, address: object) -> Never:
        msg = f"a unit test tried to connect to {address!r}: give the code a fake, or move the test"
        raise AssertionError(msg)

    # Sockets themselves stay: an event loop needs a pair of them.
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
