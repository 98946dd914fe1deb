"""Addresses against real listeners: a port and a unix socket."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest

from onnxserve.client import Address, Connection, http_post, loopback, parse_address, unix
from onnxserve.torchserve import free_ports


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Unix(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Tcp(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True


@pytest.fixture(params=["unix", "tcp"])
def address(request, tmp_path) -> Iterator[Address]:
    path = tmp_path / "echo.sock"
    server = Unix(str(path), Echo) if request.param == "unix" else Tcp(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield unix(path) if request.param == "unix" else loopback(server.socket.getsockname()[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_both_clients_speak_to_it_and_it_survives_being_written_down(address):
    assert parse_address(str(address)) == address
    assert address.listening()
    with address.client() as client:
        assert [client.post("/", content=b"one").content for _ in range(2)] == [b"one"] * 2
    connection = Connection(address, 10)
    try:
        connection.send(http_post("/", b"two"), 0)
        status = None
        while status is None:
            status = connection.receive()
        assert status == 200
    finally:
        connection.close()


@pytest.mark.parametrize("text", ["unix:/nowhere/x.sock", "http://127.0.0.1:1", f"unix:/{'x' * 200}"])
def test_nobody_there_is_an_error_of_httpx_and_leaks_no_socket(text):
    address = parse_address(text)
    assert not address.listening()
    with address.client() as client, pytest.raises(httpx.ConnectError):
        client.get("/")


def test_an_address_is_written_as_torchserve_reads_it():
    assert str(loopback(8080)) == "http://127.0.0.1:8080"
    assert str(unix(Path("/run/x.sock"))) == "unix:/run/x.sock"
    assert parse_address("https://host:8443/") == Address("https://host:8443")


def test_free_ports_can_be_bound_and_are_none_that_the_kernel_gives_to_clients():
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert max(ports) < first
    for port in ports:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
