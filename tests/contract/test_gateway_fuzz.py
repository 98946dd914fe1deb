"""Anything that a client can send: no failure of the gateway, and a neighbour who is answered throughout."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from onnxserve.client import unix
from onnxserve.gateway import Canary, Gateway, Model, Roles, Share
from onnxserve.gateway.config import Cache, Deadline, Limits
from onnxserve.gateway.nginx_process import nginx, workers
from onnxserve.processes import end_group, spawn
from tests.helpers.fuzz import Fuzz
from tests.helpers.gateway import Client, client_of, config
from tests.helpers.http2 import HEADERS, RST_STREAM, http2_connection
from tests.helpers.raw import post_bytes, raw_connection
from tests.helpers.upstream import METADATA, V2

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "20000"))  # 100000 before a release
THREADS = 4
PIPELINE, STREAMS = 40, 20
BROKEN, SECOND = 0.12, 0.1  # shares of broken requests, and of those over HTTP/2
ALLOWED = {200, 204, 400, 401, 403, 404, 405, 408, 411, 413, 414, 415, 429, 431, 501}
# TorchServe's part, as fast as nginx: whatever it is asked, it answers.
SERVER = """
daemon off; worker_processes 1; pid {folder}/server.pid; error_log {folder}/server.log crit; {user}
events {{ worker_connections 2048; }}
http {{
  access_log off; client_max_body_size 0; default_type application/json;
  client_body_temp_path {folder}/temp; proxy_temp_path {folder}/temp;
  server {{
    listen unix:{folder}/server.sock;
    location /predictions/ {{ return 200 '{{"predictions":[{{"label":"x","score":0.5}}],"version":"1.0"}}'; }}
    location = /models {{ return 200 '{{"models":[{{"modelName":"demo","modelUrl":"demo.mar"}}]}}'; }}
    location /models/ {{ return 200 '[{about}]'; }}
  }}
}}
"""
ABOUT = json.dumps(
    {
        "modelName": "demo",
        "modelVersion": "1.0",
        "minWorkers": 1,
        "workers": [{"id": "9000", "status": "READY"}],
        "customizedMetadata": {"v2": V2, "v2_message": METADATA},
    }
)
LABELS = Roles(
    {
        "demo": Model({"1.0": "a" * 64, "2.0": "b" * 64}, "1.0", "2.0", Canary("2.0", 20), Share("2.0", 20)),
        "plain": Model({"1.0": "c" * 64}, "1.0"),
    }
)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A gateway with all its functions before an nginx that answers for TorchServe."""
    user = "user root;" if os.geteuid() == 0 else ""
    (tmp_path / "server.conf").write_text(SERVER.format(folder=tmp_path, user=user, about=ABOUT))
    command = [nginx(), "-e", "stderr", "-p", str(tmp_path), "-c", "server.conf"]
    server = spawn(command, folder=tmp_path, log=tmp_path / "server.out")
    try:
        tables = config(cache=Cache(seconds=5), limits=Limits(body_bytes=2**16), deadline=Deadline(request_s=2))
        address = unix(tmp_path / "server.sock")
        with client_of(Gateway(tables, tmp_path.resolve() / "run", address, address), LABELS) as client:
            yield client
    finally:
        end_group(server, signal.SIGTERM, 5)


class Neighbour:
    """Asks something reasonable all the time, on one connection."""

    def __init__(self, port: int) -> None:
        self.statuses: Counter[int] = Counter()
        self._port, self._stop = port, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Counter[int]:
        self._thread.start()
        return self.statuses

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        with raw_connection(self._port, timeout_s=20) as raw:
            while not self._stop.wait(0.02):
                answer = raw.ask(post_bytes("/predictions/plain", b"[%d]" % self.statuses[200]))
                self.statuses[answer.status if answer else 0] += 1


def pipelined(port: int, fuzz: Fuzz, count: int) -> Counter[int]:
    """Well-framed requests on one connection; those behind one at which it was closed are sent again on the next."""
    statuses: Counter[int] = Counter()
    waiting = [fuzz.framed() for _ in range(count)]
    while waiting:
        with raw_connection(port) as raw, contextlib.suppress(ConnectionError):
            raw.send(b"".join(waiting))
            while waiting:
                answer = raw.answer(head=waiting[0].startswith(b"HEAD "))
                if answer is None:
                    break
                statuses[answer.status] += 1
                waiting.pop(0)
                if answer.headers.get("connection") == "close":
                    break
            else:
                return statuses
            if answer is not None:
                continue
        statuses[0] += 1  # cut off without a word
        waiting.pop(0)
    return statuses


def broken(port: int, fuzz: Fuzz) -> Counter[int]:
    """A request on a connection of its own; what isn't answered, nothing can be said of."""
    statuses: Counter[int] = Counter()
    with raw_connection(port) as raw:
        raw.send(fuzz.broken())
        raw.socket.shutdown(1)
        try:
            while answer := raw.answer():
                statuses[answer.status] += 1
        except (OSError, ValueError):
            pass  # the length of an answer to HEAD is that of no body
    return statuses or Counter({0: 1})


def second(port: int, fuzz: Fuzz) -> Counter[int]:
    """Streams over HTTP/2; the connection may be cut off."""
    statuses: Counter[int] = Counter()
    with http2_connection(port) as connection:
        try:
            for content in fuzz.frames(STREAMS):
                connection.send(content)
            connection.socket.shutdown(1)
            for frame in connection.frames():
                if frame.kind == HEADERS and frame.status:
                    statuses[frame.status] += 1
                elif frame.kind == RST_STREAM:
                    statuses[0] += 1
        except OSError:
            statuses[0] += 1
    return statuses


def run(port: int, seed: int, count: int) -> Counter[int]:
    """A thread's share."""
    fuzz, statuses, draw = Fuzz(seed), Counter[int](), Fuzz(-seed)._draw
    while statuses.total() < count:
        kind = draw.random()
        if kind < SECOND / STREAMS:
            statuses += second(port, fuzz)
        elif kind < SECOND / STREAMS + BROKEN:
            statuses += broken(port, fuzz)
        else:
            statuses += pipelined(port, fuzz, 1 if kind < 0.9 else PIPELINE)
    return statuses


def test_whatever_is_sent_the_gateway_does_not_fail_and_a_neighbour_is_answered(client):
    port, before = client.gateway.config.listen.port, workers(client.running.process.pid)
    with Neighbour(port) as neighbour, ThreadPoolExecutor(THREADS) as pool:
        shares = [pool.submit(run, port, 1 + seed, REQUESTS // THREADS) for seed in range(THREADS)]
        statuses = sum((share.result() for share in shares), Counter[int]())
    assert statuses.total() >= REQUESTS
    assert set(statuses) <= ALLOWED | {0}, statuses
    assert statuses[200] > REQUESTS / 10
    assert statuses[0] < REQUESTS / 5
    assert set(neighbour) == {200}
    assert neighbour[200] > 10
    assert workers(client.running.process.pid) == before
    log = (client.gateway.run / "nginx.log").read_text(errors="replace")
    assert not [line for line in log.splitlines() if "[alert]" in line or "[crit]" in line or "js exception" in line]
