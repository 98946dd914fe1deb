"""Roles: in force when nginx says so, kept whatever happens to it, and given again when it lost them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import psutil
import pytest

from onnxserve.errors import GatewayError
from onnxserve.gateway import Canary, Roles, RoleStore, Share
from onnxserve.gateway.config import Brownout, Cache, Limits, Listen
from onnxserve.gateway.gateway import Control
from onnxserve.gateway.nginx_process import start
from tests.helpers.gateway import STABLE, Client, opened
from tests.helpers.raw import post_bytes, raw_connection
from tests.helpers.upstream import versioned
from tests.helpers.waiting import wait_for


def stable(version: str) -> Callable[[Roles], Roles]:
    return lambda roles: Roles({"demo": msgspec.structs.replace(STABLE, stable=version)}, roles.generation)


def worker(client: Client) -> psutil.Process:
    """nginx's process that answers."""
    for child in psutil.Process(client.running.process.pid).children():
        with contextlib.suppress(psutil.Error):
            if "worker process" in " ".join(child.cmdline()):
                return child
    raise AssertionError("nginx has no worker")


@pytest.fixture
def role_store(client: Client) -> RoleStore:
    """The roles of the client's gateway, as `serve` keeps them."""
    store = RoleStore(client.gateway.run.parent)
    store.record_start(client.gateway)
    store.move(stable("1.0"))
    return store


@contextlib.contextmanager
def stopped(*processes: psutil.Process) -> Iterator[None]:
    """They hang until the block ends."""
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def test_a_step_counts_when_nginx_reports_it(client, role_store):
    before = role_store.roles.generation
    after = role_store.move(stable("2.0"))
    assert after.generation == before + 1
    assert Control(client.gateway.control).in_force().generation == after.generation
    assert client.post().json()["version"] == "2.0"
    assert not role_store.reconcile()


def test_a_model_that_is_named_like_a_property_of_every_object_is_forgotten_too(client, role_store):
    both = {"demo": STABLE, "constructor": STABLE}
    role_store.move(lambda roles: Roles(both, roles.generation))
    assert set(client.get("/v1/models").json()["models"]) == {"demo", "constructor"}
    role_store.move(stable("1.0"))
    assert client.get("/v1/models").json()["models"] == ["demo"]
    assert client.post("/predictions/constructor").status_code == 404


def test_a_step_fails_and_nothing_is_recorded_while_nginx_hangs_and_what_comes_late_is_taken_back(client, role_store):
    before = role_store.roles
    with stopped(worker(client)), pytest.raises(GatewayError, match="the gateway does not answer"):
        role_store.move(stable("2.0"))
    assert role_store.roles == before
    wait_for(lambda: Control(client.gateway.control).in_force().generation == before.generation + 1)  # it was only late
    assert role_store.reconcile()
    assert client.post().json()["version"] == "1.0"
    role_store.move(stable("2.0"))
    assert client.post().json()["version"] == "2.0"


def test_a_late_step_is_not_taken_for_the_next_one_of_the_same_number(client, role_store):
    with stopped(worker(client)), pytest.raises(GatewayError):
        role_store.move(stable("2.0"))
    wait_for(lambda: client.post().json()["version"] == "2.0")
    late = role_store.roles.generation + 1
    role_store._write(Roles({"demo": STABLE}, late))  # another step of that number, which nginx never got
    assert Control(client.gateway.control).in_force().generation == late
    assert role_store.reconcile()
    assert client.post().json()["version"] == "1.0"


def test_a_step_fails_and_nothing_is_recorded_when_nginx_is_gone(client, role_store):
    before = role_store.roles
    client.running.stop()
    with pytest.raises(GatewayError, match="the gateway does not answer"):
        role_store.move(stable("2.0"))
    assert role_store.roles == before


def test_a_step_that_can_not_be_recorded_is_taken_back(client, role_store, monkeypatch):
    def full(_: Roles) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(role_store, "_write", full)
    with pytest.raises(OSError, match="No space"):
        role_store.move(stable("2.0"))
    assert client.post().json()["version"] == "1.0"


def test_the_worker_of_nginx_is_killed_and_the_next_one_has_the_roles(client, role_store):
    role_store.move(stable("2.0"))
    first = worker(client)
    first.kill()
    wait_for(lambda: psutil.pid_exists(first.pid) is False)
    assert client.post().json()["version"] == "2.0"
    assert not role_store.reconcile()


def test_nginx_is_killed_whole_and_the_next_one_takes_up_the_roles(client, role_store):
    role_store.move(stable("2.0"))
    os.killpg(client.running.process.pid, signal.SIGKILL)
    client.running.process.wait(10)
    with raw_connection(client.gateway.config.listen.port) as waiting:
        waiting.send(post_bytes())  # nobody is there to read it
        running = start(client.gateway, role_store.roles, client.running.hand_over())
        answer = waiting.answer()
    try:
        assert answer is not None
        assert answer.headers["x-onnxserve-version"] == "2.0"
        assert not role_store.reconcile()
    finally:
        running.stop()


def test_a_worker_that_hangs_while_its_master_is_gone_keeps_the_next_nginx_from_its_ports_only_once(client, role_store):
    hung = worker(client)
    hung.suspend()
    client.running.process.kill()
    client.running.process.wait(10)
    client.running.clear()
    with pytest.raises(GatewayError, match="are taken"):
        start(client.gateway, role_store.roles, client.running.hand_over())
    client.running.clear()
    running = start(client.gateway, role_store.roles)
    try:
        assert not hung.is_running() or hung.status() == psutil.STATUS_ZOMBIE
        assert client.post().status_code == 200
    finally:
        running.stop()


def test_an_nginx_that_came_back_with_other_roles_is_given_the_right_ones(client, role_store):
    client.running.stop()
    running = start(client.gateway, Roles({"demo": STABLE}, 1))
    try:
        role_store._write(Roles({"demo": msgspec.structs.replace(STABLE, stable="2.0")}, 7))
        assert role_store.reconcile()
        assert client.post().json()["version"] == "2.0"
    finally:
        running.stop()


def test_roles_outlive_a_reload(client, role_store):
    role_store.move(stable("2.0"))
    first = worker(client)
    client.running.process.send_signal(signal.SIGHUP)
    wait_for(lambda: not first.is_running() or first.status() == psutil.STATUS_ZOMBIE)
    assert client.post().json()["version"] == "2.0"
    assert not role_store.reconcile()


@opened(listen=Listen(threads=2))
def test_no_process_of_nginx_ever_sees_a_part_of_the_roles(client, role_store):
    stop = threading.Event()
    seen: Counter[tuple[int, str]] = Counter()

    def load() -> None:
        with raw_connection(client.gateway.config.listen.port) as raw:
            while not stop.is_set():
                answer = raw.ask(post_bytes())
                assert answer is not None
                seen[answer.status, answer.headers.get("x-onnxserve-version", "")] += 1

    with ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(load) for _ in range(4)]
        many = {f"model{number}": STABLE for number in range(300)}  # so that a change takes a while
        for percent in range(1, 60):
            demo = msgspec.structs.replace(STABLE, canary=Canary("2.0", percent))
            role_store.move(lambda _, demo=demo: Roles({**many, "demo": demo}))
        stop.set()
        for future in loads:
            future.result()
    assert {status for status, _ in seen} == {200}, seen
    assert {version for _, version in seen} == {"1.0", "2.0"}


# Shadows ------------------------------------------------------------------


def test_a_shadow_that_takes_seconds_delays_no_request_behind_it_on_the_same_connection(client, upstream):
    wait_s, gate = 15, threading.Event()

    def answer(path: str, _: bytes) -> tuple[int, bytes]:
        if path.endswith("2.0"):
            gate.wait(wait_s)
        return versioned(path)

    upstream.answer = answer
    client.set_roles(shadow=Share("2.0", 100))
    try:
        with raw_connection(client.gateway.config.listen.port, timeout_s=wait_s / 2) as raw:
            answers = [raw.ask(post_bytes(body=b"[%d]" % number)) for number in range(5)]
        assert [response and response.status for response in answers] == [200] * 5
        wait_for(lambda: Counter(upstream.paths())["/predictions/demo/2.0"] == 5)
    finally:
        gate.set()


@opened(limits=Limits(shadow=1))
def test_copies_beyond_the_limit_are_dropped_and_are_nobodys_failure(client, upstream):
    gate = threading.Event()

    def answer(path: str, _: bytes) -> tuple[int, bytes]:
        if path.endswith("2.0"):
            gate.wait(15)
        return versioned(path)

    upstream.answer = answer
    client.set_roles(shadow=Share("2.0", 100))
    try:
        assert [client.post(body=b"[%d]" % number).status_code for number in range(4)] == [200] * 4
        wait_for(lambda: Counter(upstream.paths())["/predictions/demo/2.0"] == 1)
    finally:
        gate.set()
    lines = client.observed(5)
    assert Counter((line["version"], line["status"]) for line in lines) == {("1.0", 200): 4, ("2.0", 200): 1}


# The brown-out ladder -----------------------------------------------------


@opened(brownout=Brownout(seconds=60), cache=Cache(seconds=0))
def test_each_rung_of_the_ladder_gives_up_what_it_says(client, upstream):
    parts = {"shadow": Share("2.0", 100), "smaller": "2.0"}
    client.set_roles(**parts, level=0)
    client.post(body=b"[0]")
    wait_for(lambda: len(upstream.requests) == 2)  # a copy went too
    client.set_roles(**parts, level=1)
    client.post(body=b"[1]")
    client.set_roles(**parts, level=2)
    first, second = client.post(body=b"[2]"), client.post(body=b"[2]")
    assert (first.headers["x-onnxserve-cache"], second.headers["x-onnxserve-cache"]) == ("miss", "hit")
    client.set_roles(**parts, level=3)
    smaller = client.post(body=b"[3]")
    assert (smaller.json()["version"], smaller.headers["x-onnxserve-degraded"]) == ("2.0", "smaller")
    client.set_roles(**parts, level=0)
    whole = client.post(body=b"[2]")
    assert whole.json()["version"] == "1.0"
    assert "x-onnxserve-degraded" not in whole.headers
    assert "x-onnxserve-cache" not in whole.headers
    wait_for(lambda: len(upstream.requests) == 7)
    sent = Counter((request.path[-3:], request.body) for request in upstream.requests)
    once = [("1.0", b"[0]"), ("2.0", b"[0]"), ("1.0", b"[1]"), ("2.0", b"[3]"), ("2.0", b"[2]")]
    assert sent == Counter([*once, ("1.0", b"[2]"), ("1.0", b"[2]")])
