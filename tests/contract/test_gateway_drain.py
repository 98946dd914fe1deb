"""A gateway that ends under its clients: it takes no new connection, and every request that it was sent is answered."""

from __future__ import annotations

import itertools
import signal
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
import pytest

from onnxserve.gateway.config import Deadline, Listen
from onnxserve.gateway.nginx_process import workers
from tests.helpers.gateway import Client, opened
from tests.helpers.http2 import GOAWAY, HEADERS, http2_connection, request_fields
from tests.helpers.keepalive import KeepAlive, running, total
from tests.helpers.messages import SERVICE, message_of
from tests.helpers.raw import post_bytes, raw_connection
from tests.helpers.upstream import versioned
from tests.helpers.waiting import wait_for

WAIT_S = 60


def stopping(client: Client) -> threading.Thread:
    """Ends the gateway; it takes no connection any more when this returns."""
    thread = threading.Thread(target=client.running.stop, daemon=True)
    thread.start()
    port = client.gateway.config.listen.port

    def refused() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    wait_for(refused)
    return thread


def test_no_request_on_a_kept_connection_is_lost(client):
    numbers = itertools.count()
    bodies = iter(lambda: b"[%d]" % next(numbers), b"")
    port = client.gateway.config.listen.port
    pauses = (0.0,) * 8 + (0.02,) * 4 + (0.3,) * 4
    clients = [KeepAlive(port, "/predictions/demo", bodies, pause_s) for pause_s in pauses]
    with running(clients):
        wait_for(lambda: total(clients)["answered"] > 300)
        client.running.stop()
    outcomes = total(clients)
    assert set(outcomes) <= {"answered", "said so", "closed while idle", "refused"}, outcomes
    assert outcomes["refused"] == len(clients)
    assert outcomes["said so"] + outcomes["closed while idle"] == len(clients)
    assert {status for sender in clients for status in sender.statuses} == {200}


def answered(clients: list[KeepAlive], count: int) -> bool:
    return total(clients)["answered"] >= count


def test_a_reload_loses_no_request(client):
    """New certificates, or a worker that was killed, are reasons for one."""
    numbers = itertools.count()
    bodies = iter(lambda: b"[%d]" % next(numbers), b"")
    port, master, known = client.gateway.config.listen.port, client.running.process, set[int]()
    clients = [KeepAlive(port, "/predictions/demo", bodies, pause_s) for pause_s in (0.0,) * 6 + (0.05,) * 6]
    with running(clients):
        for turn in range(5):
            known.update(workers(master.pid))
            master.send_signal(signal.SIGHUP)
            wait_for(lambda: workers(master.pid) - known)
            count = 150 * (turn + 1)
            wait_for(partial(answered, clients, count))
        for sender in clients:
            sender.stop.set()
    outcomes = total(clients)
    assert set(outcomes) <= {"answered", "said so", "closed while idle"}, outcomes
    assert outcomes["said so"] >= 5
    assert {status for sender in clients for status in sender.statuses} == {200}


@pytest.mark.parametrize("client", [{}, {"listen": Listen(host="::")}], ids=["127.0.0.1", "::"], indirect=True)
def test_no_request_on_a_new_connection_is_lost(client):
    """Each on a connection of its own, so that some are always in the kernel's queue."""
    port, outcomes = client.gateway.config.listen.port, Counter[str]()

    def ask() -> None:
        while not outcomes["lost"]:
            try:
                with raw_connection(port) as raw:
                    answer = raw.ask(post_bytes(Connection="close"))
            except ConnectionRefusedError:
                outcomes["refused"] += 1
                return
            except OSError:
                answer = None
            outcomes["answered" if answer is not None and answer.status == 200 else "lost"] += 1

    with ThreadPoolExecutor(16) as pool:
        asking = [pool.submit(ask) for _ in range(16)]
        wait_for(lambda: outcomes["answered"] > 500)
        client.running.stop()
        for future in asking:
            future.result()
    assert (outcomes["lost"], outcomes["refused"]) == (0, 16)


@opened(deadline=Deadline(request_s=2))  # so long a connection may wait for its first request
def test_what_is_under_way_is_answered_and_says_that_the_connection_ends(client, upstream):
    gate = threading.Event()
    upstream.answer = lambda path, _: (gate.wait(WAIT_S), versioned(path))[1]
    port = client.gateway.config.listen.port
    with raw_connection(port) as first, raw_connection(port) as idle, raw_connection(port) as started:
        first.send(post_bytes())
        started.send(post_bytes(body=b"[3]")[:-1])
        wait_for(lambda: len(upstream.requests) == 1)
        thread = stopping(client)
        assert client.running.alive()
        started.send(b"]")
        wait_for(lambda: len(upstream.requests) == 2)
        gate.set()
        answers = [first.answer(), started.answer()]
        assert [answer and (answer.status, answer.headers["connection"]) for answer in answers] == [(200, "close")] * 2
        assert idle.answer() is None
    thread.join(WAIT_S)
    assert not client.running.alive()


@opened(deadline=Deadline(answer_s=1))
def test_what_takes_longer_than_an_answer_may_holds_up_no_end(client, upstream):
    gate = threading.Event()
    upstream.answer = lambda path, _: (gate.wait(WAIT_S), versioned(path))[1]
    with raw_connection(client.gateway.config.listen.port) as raw:
        raw.send(post_bytes())
        wait_for(lambda: len(upstream.requests) == 1)
        thread = stopping(client)
        answer = raw.answer()
        thread.join(WAIT_S)
    gate.set()
    assert answer is not None
    assert (answer.status, client.running.alive()) == (504, False)


@opened(deadline=Deadline(answer_s=1, request_s=60))
def test_a_client_that_never_ends_its_request_holds_up_no_end(client):
    with raw_connection(client.gateway.config.listen.port) as raw:
        raw.send(post_bytes()[:-1])
        thread = stopping(client)
        thread.join(WAIT_S)
    assert not client.running.alive()


def test_http_2_is_told_which_streams_are_still_answered(client, upstream):
    gate = threading.Event()
    upstream.answer = lambda path, _: (gate.wait(WAIT_S), versioned(path))[1]
    with http2_connection(client.gateway.config.listen.port) as connection:
        streams = [connection.request(request_fields(), b"[1]") for _ in range(3)]
        wait_for(lambda: len(upstream.requests) == 3)
        thread = stopping(client)
        frames = connection.frames()
        goaway = next(frame for frame in frames if frame.kind == GOAWAY)
        assert int.from_bytes(goaway.payload[:4], "big") >= streams[-1]
        assert goaway.payload[4:8] == b"\0\0\0\0"
        gate.set()
        statuses = {frame.stream: frame.status for frame in frames if frame.kind == HEADERS}
        assert statuses == dict.fromkeys(streams, 200)
    thread.join(WAIT_S)
    assert not client.running.alive()


def test_an_idle_http_2_connection_is_told_at_once(client):
    with http2_connection(client.gateway.config.listen.port) as connection:
        assert connection.outcome(connection.request(request_fields(), b"[1]")) == 200
        thread = stopping(client)
        assert next(frame.payload[4:8] for frame in connection.frames() if frame.kind == GOAWAY) == b"\0\0\0\0"
    thread.join(WAIT_S)
    assert not client.running.alive()


def test_calls_under_way_are_answered(client, upstream):
    gate = threading.Event()
    upstream.headers = {"x-grpc-status": "0"}
    upstream.answer = lambda *_: (200, b"\0\0\0\0\0" if gate.wait(WAIT_S) else b"")
    message = message_of("ModelInferRequest", model_name="demo").SerializeToString()
    with grpc.insecure_channel(client.gateway.url.removeprefix("http://")) as channel, ThreadPoolExecutor(4) as pool:
        ask = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        calls = [pool.submit(ask, message, timeout=WAIT_S) for _ in range(4)]
        wait_for(lambda: len(upstream.requests) == 4)
        thread = stopping(client)
        gate.set()
        assert [call.result() for call in calls] == [b""] * 4
        with pytest.raises(grpc.RpcError) as caught:
            ask(message, timeout=WAIT_S)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    thread.join(WAIT_S)
    assert not client.running.alive()
