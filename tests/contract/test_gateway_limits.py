"""How much one client may have under way, and what is refused for its size, in each protocol's form."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import pytest

from onnxserve.gateway import Roles
from onnxserve.gateway.config import Auth, Limits
from onnxserve.gateway.keys import Key, add
from onnxserve.gateway.nginx_process import workers
from tests.helpers.gateway import BODY, STABLE, Client, client_of, config, gateway_of, opened
from tests.helpers.messages import SERVICE, message_of
from tests.helpers.raw import post_bytes, raw_connection
from tests.helpers.upstream import Upstream, versioned

HELD_S = 120
REFUSED_S = 0.19  # what asks too much waits longer
INFER = message_of("ModelInferRequest", model_name="demo").SerializeToString()


class Gate:
    """The server answers nothing until the test says so."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream, self._open = upstream, threading.Event()
        upstream.answer = self._answer

    def _answer(self, path: str, _: bytes) -> tuple[int, bytes]:
        self._open.wait(HELD_S)
        return versioned(path)

    def wait(self, requests: int) -> None:
        """Until so many are under way."""
        deadline = time.monotonic() + HELD_S / 2
        while len(self._upstream.requests) < requests:
            assert time.monotonic() < deadline, len(self._upstream.requests)
            time.sleep(0.01)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate(upstream: Upstream) -> Iterator[Gate]:
    gate = Gate(upstream)
    yield gate
    gate.open()


# Shares -------------------------------------------------------------------


def test_one_client_can_not_take_all_that_a_version_allows(upstream, gate, tmp_path):
    keys = tmp_path / "keys.json"
    flood, paced = add(keys, Key("flood")), add(keys, Key("paced"))
    tables = config(limits=Limits(concurrency=8, client_percent=50), auth=Auth(keys=str(keys)))
    gateway = gateway_of(tables, tmp_path, upstream.port)
    with client_of(gateway, Roles({"demo": STABLE})) as client, ThreadPoolExecutor(24) as pool:
        flooding = [pool.submit(client.post, x_api_key=flood) for _ in range(12)]
        gate.wait(4)
        others = [pool.submit(client.post, x_api_key=paced), pool.submit(client.post)]  # the second one by its address
        gate.wait(6)
        gate.open()
        assert Counter(answer.result().status_code for answer in flooding) == {200: 4, 429: 8}
        assert [answer.result().status_code for answer in others] == [200, 200]
        refused = next(answer.result() for answer in flooding if answer.result().status_code == 429)
        assert refused.json()["error"]["type"] == "overloaded"


@contextlib.contextmanager
def flooded(upstream: Upstream, gate: Gate, tmp_path: Path) -> Iterator[tuple[Client, ThreadPoolExecutor, str]]:
    """A version of which two clients have all that they may, one of them by its address; the key of a third one."""
    keys = tmp_path / "keys.json"
    flood, paced = add(keys, Key("flood")), add(keys, Key("paced"))
    tables = config(limits=Limits(concurrency=64, client_percent=50), auth=Auth(keys=str(keys)))
    gateway = gateway_of(tables, tmp_path, upstream.port)
    with client_of(gateway, Roles({"demo": STABLE})) as client, ThreadPoolExecutor(80) as pool:
        futures = [pool.submit(client.post) for _ in range(32)]
        futures += [pool.submit(client.post, x_api_key=flood) for _ in range(32)]
        gate.wait(len(futures))
        yield client, pool, paced
        gate.open()
        assert [answer.result().status_code for answer in futures] == [200] * len(futures)


def test_clients_that_flood_a_version_together_keep_no_other_client_out(upstream, tmp_path):
    gate = Gate(upstream)
    with flooded(upstream, gate, tmp_path) as (client, pool, paced):
        others = [pool.submit(client.post, x_api_key=paced), pool.submit(client.post)]
        gate.wait(66)
        refused = [client.post(x_api_key=paced), client.post()]  # who has more than a few is refused
        gate.open()
        assert [future.result().status_code for future in others] == [200, 200]
    assert [answer.status_code for answer in refused] == [429, 429]
    assert "retry-after" not in others[0].result().headers
    assert {seen.headers["x-onnxserve-client"] for seen in upstream.requests[-2:]} == {"paced", "127.0.0.1"}


def test_a_call_of_another_client_is_answered_beside_floods(upstream, tmp_path):
    gate = Gate(upstream)
    with flooded(upstream, gate, tmp_path) as (client, pool, paced):
        answered = pool.submit(call, client, x_api_key=paced)
        gate.wait(65)
        gate.open()
        with contextlib.suppress(grpc.RpcError):  # the server behind makes no message
            answered.result()
    assert upstream.requests[-1].headers["content-type"] == "application/grpc"


@opened(limits=Limits(concurrency=64, client_percent=50))
def test_a_client_beyond_its_share_whose_request_fails_gets_a_second_try(client, upstream, gate):
    with ThreadPoolExecutor(40) as pool:
        futures = [pool.submit(client.post) for _ in range(32)]
        gate.wait(32)
        statuses = iter([503, 200])
        upstream.answer = lambda path, _: (next(statuses), versioned(path)[1])
        assert client.post().status_code == 200
        assert len(upstream.requests) == 34
        gate.open()
        assert [future.result().status_code for future in futures] == [200] * 32


@opened(limits=Limits(concurrency=1))
def test_who_asks_again_at_once_is_refused_no_faster_than_others_are_answered(client, gate):
    with ThreadPoolExecutor(1) as pool:
        futures = pool.submit(client.post)
        gate.wait(1)
        began = time.monotonic()
        refused = client.post()
        took_s = time.monotonic() - began
        gate.open()
        assert futures.result().status_code == 200
    assert refused.status_code == 429
    assert refused.json()["error"] == {
        "type": "overloaded",
        "reason": "too many requests are under way for this version",
        "where": "gateway",
    }
    assert (refused.headers["retry-after"], refused.headers["content-type"]) == ("1", "application/json")
    assert took_s > REFUSED_S


@pytest.mark.parametrize("sent", [bytes, lambda body: iter([body])], ids=["whole", "chunked"])
@opened(limits=Limits(bodies_mib=16))
def test_as_many_large_bodies_are_passed_on_as_the_server_has_memory_for_and_small_ones_beside_them(client, gate, sent):
    large, deadline = b"[" + b" " * 2_000_000 + b"]", time.monotonic() + HELD_S / 2
    with ThreadPoolExecutor(16) as pool:
        futures = [pool.submit(client.post, body=sent(large)) for _ in range(5)]
        gate.wait(2)
        while sum(future.done() for future in futures) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        small = pool.submit(client.post)
        gate.wait(3)
        gate.open()
        assert Counter(future.result().status_code for future in futures) == {200: 2, 429: 3}
        assert small.result().status_code == 200
    assert client.post(body=sent(large)).status_code == 200


@opened(limits=Limits(concurrency=4, client_percent=100))
def test_each_version_has_a_limit_of_its_own(client, gate):
    with ThreadPoolExecutor(16) as pool:
        first = [pool.submit(client.post, "/predictions/demo/1.0") for _ in range(6)]
        gate.wait(4)
        other = pool.submit(client.post, "/predictions/demo/2.0")
        gate.wait(5)
        gate.open()
        assert Counter(future.result().status_code for future in first) == {200: 4, 429: 2}
        assert other.result().status_code == 200
        assert client.post("/predictions/demo/1.0").status_code == 200


@opened(limits=Limits(concurrency=2, client_percent=100))
def test_a_call_beyond_the_limit_is_told_so_in_grpcs_words(client, gate):
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(client.post) for _ in range(2)]
        gate.wait(2)
        with pytest.raises(grpc.RpcError) as caught:
            call(client)
        gate.open()
        assert [future.result().status_code for future in futures] == [200, 200]
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.details().startswith("overloaded: gateway: ")


@opened(limits=Limits(concurrency=3, client_percent=100))
def test_what_was_under_way_in_a_worker_of_nginx_that_was_killed_is_not_counted_for_ever(client, gate):
    assert not client.running.recount()
    with ThreadPoolExecutor(4) as pool:
        lost = [pool.submit(client.post) for _ in range(3)]
        gate.wait(3)
        [worker] = workers(client.running.process.pid)
        os.kill(worker, signal.SIGKILL)
        assert all(isinstance(future.exception(), httpx.HTTPError) for future in lost)
    gate.open()
    deadline = time.monotonic() + HELD_S
    while workers(client.running.process.pid) in (set(), {worker}):
        assert time.monotonic() < deadline
    assert client.post().status_code == 429
    assert client.running.recount()
    while client.post().status_code != 200:
        assert time.monotonic() < deadline
    assert not client.running.recount()
    assert not client.running.recount()


def call(client: Client, message: bytes = INFER, timeout: float = 60, **metadata: str) -> bytes:
    with grpc.insecure_channel(client.gateway.url.removeprefix("http://")) as channel:
        answer: bytes = channel.unary_unary(f"/{SERVICE}/ModelInfer")(
            message, timeout=timeout, metadata=[(name.replace("_", "-"), value) for name, value in metadata.items()]
        )
        return answer


# Sizes --------------------------------------------------------------------

SMALL = Limits(body_bytes=1000, header_kib=2)
TOO_LARGE = {
    "body": (413, "too_large", {"body": b"x" * 2000}),
    "body without a length": (413, "too_large", {"body": None}),
    "header": (431, "headers_too_large", {"X_Long": "x" * 3000}),
    "headers together": (431, "headers_too_large", {f"X_Long_{number}": "x" * 1500 for number in range(9)}),
    "number of headers": (431, "headers_too_large", {f"X_{number}": "x" for number in range(200)}),
}


@opened(limits=SMALL)
@pytest.mark.parametrize("path", ["/predictions/demo", "/v2/models/demo/infer"])
@pytest.mark.parametrize(("status", "kind", "parts"), TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_what_is_too_large_is_refused_with_a_type(client, upstream, path, status, kind, parts):
    parts = dict(parts)
    body = parts.pop("body", BODY)
    with raw_connection(client.gateway.config.listen.port) as raw:
        if body is None:
            head = post_bytes(path, b"", Transfer_Encoding="chunked").replace(b"Content-Length: 0\r\n", b"")
            raw.send(head + b"7d0\r\n" + b"x" * 2000 + b"\r\n0\r\n\r\n")
        else:
            raw.send(post_bytes(path, body, **parts))
        answer = raw.answer()
    assert answer is not None
    assert answer.status == status
    error = json.loads(answer.body)["error"]
    assert (error.split(":")[0] if path.startswith("/v2") else error["type"]) == kind
    assert upstream.requests == []
    assert client.post().status_code == 200


@opened(limits=SMALL)
def test_a_path_that_is_too_long_is_refused_with_a_type(client, upstream):
    for path in ("/predictions/", "/v2/models/"):  # it isn't read, so nobody knows that it is V2's
        answer = client.post(path + "x" * 4000)
        assert (answer.status_code, answer.json()["error"]["type"]) == (414, "uri_too_long")
    assert upstream.requests == []


@opened(limits=SMALL)
def test_calls_that_are_too_large_are_refused_in_grpcs_words(client, upstream):
    with pytest.raises(grpc.RpcError) as caught:
        call(client, INFER + b"\x1a\x80\x10" + b"x" * 2048)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.details().startswith("too_large: gateway: ")
    with pytest.raises(grpc.RpcError) as caught:
        call(client, long="x" * 3000)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE  # HTTP/2 itself ends such a connection
    assert upstream.requests == []
