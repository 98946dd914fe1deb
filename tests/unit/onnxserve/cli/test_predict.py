"""The one request that a command sends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from onnxserve.cli.predict import ask, predict
from onnxserve.client import Address, loopback, parse_address
from onnxserve.errors import ServerError
from onnxserve.torchserve import free_ports


class Answering(BaseHTTPRequestHandler):
    body = b'{"predictions": [1]}'
    status = 200

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def answering(handler: type[Answering] = Answering) -> Iterator[Address]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield loopback(server.server_port)
        finally:
            server.shutdown()


def test_no_proxy_of_the_environment_gets_the_key(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_ports(1)[0]}")  # nobody is there
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with answering() as address:
        answer = ask(address, "demo", b"[]", {"x-api-key": "geheim"}, timeout_s=10)
    assert answer == {"predictions": [1]}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"key": "osk_1"}, ("osk_1", None)),
        ({"token": "abc"}, (None, "Bearer abc")),
        ({"key": "osk_1", "token": "abc"}, ("osk_1", None)),
        ({}, (None, None)),
    ],
)
def test_a_key_or_a_token_is_sent_as_the_gateway_reads_it(given, sent):
    received: list[tuple[str | None, str | None]] = []

    class Reading(Answering):
        def do_POST(self) -> None:
            received.append((self.headers["x-api-key"], self.headers["authorization"]))
            super().do_POST()

    with answering(Reading) as address:
        predict("demo", "[]", url=address.url, as_json=True, **given)
    assert received == [sent]


@pytest.mark.parametrize(("body", "shown"), [(b'{"y": 2}', "{'y': 2}\n"), (b"[1]", "[1]\n"), (b"<html>", "<html>\n")])
def test_an_answer_of_another_handler_is_shown_as_it_is(monkeypatch, capsys, body, shown):
    monkeypatch.setattr(Answering, "body", body)
    with answering() as address:
        predict("demo", "[]", url=address.url)
    assert capsys.readouterr().out == shown


def test_a_refused_row_that_is_the_path_of_a_file_says_how_a_file_is_sent(monkeypatch, tmp_path):
    monkeypatch.setattr(Answering, "status", 415)
    monkeypatch.setattr(Answering, "body", b'{"error": {"reason": "not read", "fix": "send image/png"}}')
    picture = tmp_path / "kitten.png"
    picture.write_bytes(b"x")
    fixes = {str(picture): f"write @{picture} to send the file itself", "no file " * 999: "send image/png"}
    fixes[f"@{picture}"] = "send image/png"
    with answering() as address:
        for row, fix in fixes.items():
            with pytest.raises(ServerError, match="415: not read") as refusal:
                predict("demo", row, url=address.url)
            assert refusal.value.fix == fix


def test_a_ca_certificate_that_can_not_be_read_is_named(tmp_path):
    with pytest.raises(ServerError, match="no certificate can be read") as caught:
        ask(parse_address("https://127.0.0.1:1"), "demo", b"[]", {}, ca=str(tmp_path / "ca.pem"))
    assert caught.value.where == str(tmp_path / "ca.pem")
