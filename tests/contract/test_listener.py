"""The port that nginx inherits."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from onnxserve.errors import ServerError
from onnxserve.processes.listener import Listener
from onnxserve.torchserve import free_ports


@pytest.fixture(params=["127.0.0.1", "::1", "[::1]", "::", "localhost"])
def address(request) -> tuple[str, int]:
    [port] = free_ports(1)
    return request.param, port


@pytest.fixture
def listener(address: tuple[str, int]) -> Iterator[Listener]:
    listening = Listener(*address)
    yield listening
    listening.close()


def connected(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection((address[0].strip("[]"), address[1]), timeout=1)


def connects(address: tuple[str, int]) -> bool:
    try:
        connected(address).close()
    except OSError:
        return False
    return True


def test_whoever_inherits_it_does_not_wait_in_it(listener):
    inherited = socket.socket(fileno=listener.fileno())
    with pytest.raises(BlockingIOError):
        inherited.accept()
    inherited.detach()


def test_a_port_that_somebody_has_is_said(listener, address):
    with pytest.raises(ServerError, match="can't listen: Address already in use") as raised:
        Listener(*address)
    assert raised.value.where == "{}:{}".format(*address)


def test_a_host_that_is_none_is_said():
    with pytest.raises(ServerError, match="can't listen: "):
        Listener("no.address.invalid", 8000)


def test_a_connection_that_has_begun_is_taken_and_nothing_new_begins(listener, address):
    with connected(address) as client:
        assert listener._waiting_connections() == 1
        accepting = socket.socket(fileno=listener.fileno())  # as nginx does with what it inherits
        connection, _ = accepting.accept()
        accepting.detach()
        assert listener._waiting_connections() == 0
        listener.drain()
        with connection:
            client.sendall(b"x")
            assert connection.recv(1) == b"x"
        assert not connects(address)
    listener.close()
    assert not connects(address)
