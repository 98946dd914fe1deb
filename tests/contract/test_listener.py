"""The port that nginx inherits."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from onnxserve.config import free_ports
from onnxserve.errors import EdgeError
from onnxserve.gateway.listener import Listener, open_listener


@pytest.fixture
def address() -> tuple[str, int]:
    [port] = free_ports(1)
    return "127.0.0.1", port


@pytest.fixture
def listener(address: tuple[str, int]) -> Iterator[Listener]:
    made = Listener(*address)
    yield made
    made.close()


def test_whoever_inherits_it_does_not_wait_in_it(listener):
    inherited = socket.socket(fileno=listener.fileno())
    with pytest.raises(BlockingIOError):
        inherited.accept()
    inherited.detach()


def test_a_port_that_somebody_has_is_said(listener, address):
    with pytest.raises(EdgeError, match="can't listen: Address already in use") as raised:
        open_listener(*address)
    assert raised.value.where == "{}:{}".format(*address)


@pytest.mark.parametrize("host", ["localhost", "::1", "[::1]", "gateway.example"])
def test_nginx_opens_what_is_no_address_of_ipv4(host, address):
    assert open_listener(host, address[1]) is None


def test_a_connection_that_has_begun_is_taken_and_nothing_new_begins(listener, address):
    with socket.create_connection(address, timeout=5) as begun:
        assert listener._waiting() == 1
        accepting = socket.socket(fileno=listener.fileno())  # as nginx does with what it inherits
        connection, _ = accepting.accept()
        accepting.detach()
        assert listener._waiting() == 0
        listener.drain()
        with connection:
            begun.sendall(b"x")
            assert connection.recv(1) == b"x"
        with socket.socket() as late:
            late.settimeout(0.3)
            assert late.connect_ex(address) != 0
    listener.close()
    with socket.socket() as later:
        assert later.connect_ex(address) != 0
