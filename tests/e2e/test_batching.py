"""The frontend plugin: a batch waits only for requests that are expected."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from onnxserve.archive import reconfigure
from tests.helpers.plugin import needs_plugin
from tests.helpers.torchserve import READY_S, ROOT, Running, running
from tests.helpers.waiting import wait_for

DELAY_S = 6  # so much longer than an answer takes on a busy machine that waiting shows
pytestmark = needs_plugin


@pytest.fixture(scope="module")
def patient(archive, tmp_path_factory) -> Iterator[Running]:
    """A model that waits DELAY_S for a batch of four."""
    folder = tmp_path_factory.mktemp("batching")
    changes = {"batchSize": 4, "maxBatchDelay": DELAY_S * 1000}
    reconfigure(archive, folder / "in" / archive.name, changes)
    with running(folder, [folder / "in" / archive.name]) as server:
        yield server


def batching(server: Running) -> dict[str, Any]:
    models: list[dict[str, Any]] = server.get(server.settings.management, "/batching").json()["models"]
    assert len(models) == 1
    return models[0]


def test_lone_requests_do_not_wait(patient):
    start = time.monotonic()
    for _ in range(5):
        assert patient.post("circle", b"[0, 0]").status_code == 200
    assert time.monotonic() - start < 5 * DELAY_S / 2
    assert batching(patient).items() >= {"model": "circle", "version": "1.0.0", "expected": 1, "queued": 0}.items()


@pytest.fixture(scope="module")
def pair(archive, tmp_path_factory) -> Iterator[Running]:
    """A model with two workers."""
    folder = tmp_path_factory.mktemp("pair")
    reconfigure(archive, folder / "in" / archive.name, {"minWorkers": 2, "maxWorkers": 2})
    with running(folder, [folder / "in" / archive.name]) as server:
        yield server


def wakeups(processes: list[psutil.Process]) -> list[int]:
    """How often each process was given something to do after it had waited."""
    return [process.num_ctx_switches().voluntary for process in processes]


def test_one_clients_requests_go_to_the_worker_that_was_at_work_last(pair):
    [version] = pair.get(pair.settings.management, "/models/circle").json()
    workers = [psutil.Process(worker["pid"]) for worker in version["workers"]]

    def one_worker_computes_them() -> bool:
        before = wakeups(workers)
        for _ in range(40):
            assert pair.post("circle", b"[0, 0]").status_code == 200
        idle, busy = sorted(after - count for count, after in zip(before, wakeups(workers), strict=True))
        return idle <= 4 and busy >= 40

    # A request that comes before the worker waits again goes to the other one, as it should.
    wait_for(one_worker_computes_them)


def test_nothing_is_lost_when_requests_wait_for_the_worker_to_start(archive, tmp_path):
    # The queue is replaced while the worker starts: requests sent meanwhile must be answered all the same.
    from onnxserve.torchserve import Settings, start_server

    store = tmp_path / "store"
    store.mkdir()
    shutil.copy(archive, store)
    settings = Settings(ROOT / "config.properties", store, tmp_path / "state")
    server = start_server(settings)
    statuses: list[int] = []
    try:
        deadline = time.monotonic() + READY_S
        with settings.inference.client(60) as client:
            while time.monotonic() < deadline and statuses.count(200) < 20:
                try:
                    answer = client.post("/predictions/circle", content=json.dumps([0, 0]))
                except httpx.HTTPError:
                    time.sleep(0.005)
                    continue
                if answer.status_code != 404:  # not registered yet
                    statuses.append(answer.status_code)
    finally:
        server.stop()
    assert statuses == [200] * 20
