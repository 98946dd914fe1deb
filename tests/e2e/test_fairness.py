"""The plugin's queue in a real TorchServe: which rows the model is given, and in which order."""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from onnxserve.client import http_post
from onnxserve.torchserve import Management
from tests.helpers.blocking_model import CAPACITY, HOLD, Gate, gate_of, wait, write_archive
from tests.helpers.plugin import needs_plugin
from tests.helpers.torchserve import Running, running

pytestmark = needs_plugin
NAMES = ("gate", "leaving")


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("fairness")
    archives = [write_archive(folder / f"{name}.mar", name, folder / name) for name in NAMES]
    archives.append(write_archive(folder / "slow.mar", "slow", folder / "slow", batch=16, row_s=0.005))
    with running(folder / "server", archives) as started:
        yield started


@pytest.fixture
def gate(server) -> Iterator[Gate]:
    with gate_of(server, "gate", server.settings.store.parents[1] / "gate") as gate:
        yield gate


def statuses(requests: list[Future[httpx.Response]]) -> list[int]:
    return [request.result().status_code for request in requests]


def test_requests_that_queued_up_while_the_worker_was_busy_run_together(gate):
    with gate.held() as hold:
        requests = gate.queue(8, "row")
    assert statuses([hold, *requests]) == [200] * 9
    assert [len(batch) for batch in gate.batches()] == [1, 4, 4]


def test_a_paced_client_overtakes_the_queue_of_one_that_floods(gate):
    with gate.held() as hold:
        flood = gate.queue(CAPACITY - 1, "flood", "flood")
        paced = gate.queue(1, "paced", "paced")
    assert statuses([hold, *flood, *paced]) == [200] * (CAPACITY + 1)
    # One row of the flood came before it: both clients were new.
    assert gate.rows().index("paced0") <= len([HOLD, "flood0"])


def test_a_model_whose_time_grows_with_its_rows_serves_a_paced_client_in_short_batches(server):
    done = threading.Event()

    def flood(gate: Gate) -> None:
        while not done.is_set():
            gate.send("flood", "flood").result()

    folder = server.settings.store.parents[1] / "slow"
    with gate_of(server, "slow", folder) as gate, ThreadPoolExecutor(20) as clients:
        floods = [clients.submit(flood, gate) for _ in range(20)]
        try:
            wait("a long batch", lambda: max(map(len, gate.batches()), default=0) >= 10)
            for _ in range(80):
                assert gate.send("paced", "paced").result().status_code == 200
        finally:
            done.set()
        for finished in floods:
            finished.result()
        sizes = [len(batch) for batch in gate.batches() if "paced" in batch]
    # The first ones met long batches, and taught the queue how long one row takes.
    assert statistics.median(sizes[-40:]) <= 2, sizes


def test_two_clients_that_flood_take_turns_and_keep_their_order(gate):
    with gate.held():
        first = gate.queue(10, "a", "a")
        second = gate.queue(10, "b", "b")
    assert statuses(first + second) == [200] * 20
    rows = gate.rows()[1:]
    assert [row for row in rows if row.startswith("a")] == [f"a{number}" for number in range(10)]
    assert [row for row in rows if row.startswith("b")] == [f"b{number}" for number in range(10)]
    for taken in range(1, 20):
        ahead = sum(1 if row.startswith("a") else -1 for row in rows[:taken])
        assert abs(ahead) <= 2, rows


def test_urgent_requests_go_first_and_batch_requests_last(gate):
    with gate.held():
        requests = gate.queue(3, "batch", "nightly", priority="batch")
        requests += gate.queue(3, "normal", "user")
        requests += gate.queue(3, "urgent", "doctor", priority="urgent")
    assert statuses(requests) == [200] * 9
    names = [row.rstrip("0123456789") for row in gate.rows()[1:]]
    assert names == ["urgent"] * 3 + ["normal"] * 3 + ["batch"] * 3


def test_a_full_queue_takes_a_paced_client_and_refuses_the_floods_last_request(gate):
    with gate.held():
        flood = gate.queue(CAPACITY, "flood", "flood")
        before = gate.batching()["displaced"]
        paced = gate.send("paced", "paced")
        assert flood[-1].result().status_code == 503
        assert gate.send("one more", "flood").result().status_code == 503
    assert statuses([*flood[:-1], paced]) == [200] * CAPACITY
    assert gate.batching()["displaced"] == before + 1
    assert f"flood{CAPACITY - 1}" not in gate.rows()


def test_a_request_whose_deadline_passed_is_answered_504_and_not_computed(gate):
    before = gate.batching()["expired"]
    with gate.held():
        late = gate.queue(1, "late", start=f"{time.time() - 3600:.3f}", deadline="30")
        fresh = gate.queue(1, "fresh", start=f"{time.time():.3f}", deadline="600")
    assert statuses(late + fresh) == [504, 200]
    assert "deadline" in late[0].result().json()["message"]
    assert gate.rows() == [HOLD, "fresh0"]
    assert gate.batching()["expired"] == before + 1


def test_a_request_whose_client_hung_up_is_not_computed(gate):
    before = gate.batching()["gone"]
    with gate.held():
        connection = gate.server.settings.inference.connect(10)
        connection.sendall(http_post("/predictions/gate", b"gone"))
        gate.wait_queued(1)
        connection.close()
        # Both of TorchServe's event loops have seen later requests, so one of them has seen the end.
        present = gate.queue(4, "present")
    assert statuses(present) == [200] * 4
    assert gate.rows() == [HOLD, *(f"present{number}" for number in range(4))]
    assert gate.batching()["gone"] == before + 1


def test_the_death_of_a_worker_costs_no_request_neither_those_that_it_had_nor_those_that_wait(gate):
    with gate.held() as hold:
        waiting = gate.queue(6, "waiting")
        [version] = Management(gate.server.settings.management).versions("gate")
        os.kill(version.workers[0].pid, signal.SIGKILL)
        wait("the next worker has it", lambda: gate.rows() == [HOLD, HOLD])
    assert statuses([hold, *waiting]) == [200] * 7
    assert hold.result().headers["x-onnxserve-ended"] == "507"
    assert sorted(gate.rows()[2:]) == [f"waiting{number}" for number in range(6)]


def test_requests_that_wait_for_a_model_that_is_unregistered_are_answered(server):
    with gate_of(server, "leaving", server.settings.store.parents[1] / "leaving") as gate, gate.held() as hold:
        waiting = gate.queue(3, "waiting")
        Management(server.settings.management).unregister("leaving", "1.0.0")
        assert statuses(waiting) == [503] * 3
        assert hold.result().status_code >= 500
        with server.settings.management.client() as client:
            wait("it is gone", lambda: "leaving" not in client.get("/batching").text)
