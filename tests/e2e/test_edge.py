"""Real Envoy and nginx before a real TorchServe: releases and accidents under load, counted from outside."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import numpy as np
import pytest

from onnxserve.archive import reconfigure
from onnxserve.cli.serve import wait_until_ready
from onnxserve.config import Settings, free_ports, start_server, with_free_ports
from onnxserve.edge import Canary, Edge, Intent, Share, Traffic
from onnxserve.edge.intent import Listen
from onnxserve.edge.processes import start
from onnxserve.management import Management
from onnxserve.release import History, Release
from tests.e2e.server import ROOT, Load, Running, running
from tests.upstream import Upstream, listening

BODY = json.dumps([0.0, 0.1]).encode()


@dataclass(frozen=True)
class Fronted:
    """A server and the edge before it."""

    server: Running
    url: str

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=30, trust_env=False)

    def load(self, threads: int = 4) -> Load:
        return Load(self.server, "circle", BODY, threads=threads, base=self.url)


@pytest.fixture(scope="module")
def fronted(archive, next_archive, tmp_path_factory) -> Iterator[Fronted]:
    """Version 1.0.0 with two workers, 2.0.0 with one."""
    folder = tmp_path_factory.mktemp("fronted")
    reconfigure(archive, folder / "in" / archive.name, {"minWorkers": 2, "maxWorkers": 2})
    with running(folder, [folder / "in" / archive.name, next_archive]) as server:
        server.release.restore()
        server.release.promote("circle", "1.0.0")
        port, metrics = free_ports(2)
        settings = server.settings
        run = (settings.state / "edge").resolve()
        intent = Intent(listen=Listen(port=port, metrics_port=metrics))
        edge = Edge(intent, run, settings.inference_port, settings.management_port)
        door = start(edge, server.release.traffic.labels)
        server.release.traffic.started(edge)
        try:
            yield Fronted(server, edge.url)
        finally:
            door.stop()


def test_every_protocol_is_answered_and_management_is_out_of_reach(fronted):
    answer = httpx.post(f"{fronted.url}/predictions/circle", content=BODY, trust_env=False)
    assert answer.json()["version"] == answer.headers["x-onnxserve-version"] == "1.0.0"
    values = np.array([[0.0, 0.1]], dtype="<f4")
    name = fronted.get("/v2/models/circle").json()["inputs"][0]["name"]
    tensor = {"name": name, "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": values.nbytes}}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
    binary = httpx.post(
        f"{fronted.url}/v2/models/circle/versions/2.0.0/infer",
        content=head + values.tobytes(),
        headers=headers,
        trust_env=False,
    )
    assert (binary.status_code, binary.json()["model_version"]) == (200, "2.0.0")
    instances = httpx.post(
        f"{fronted.url}/v1/models/circle:predict", json={"instances": [[0, 0], [9, 9]]}, trust_env=False
    )
    assert [one["label"] for one in instances.json()["predictions"]] == ["inside", "outside"]
    assert fronted.get("/v2/models/circle/ready").json() == {"name": "circle", "version": "1.0.0", "ready": True}
    assert fronted.get("/v2/health/ready").json() == {"ready": True}
    for path in ("/models", "/models/circle", "/workflows", "/ping"):
        assert fronted.get(path).status_code == 404


def test_bad_rows_keep_their_own_errors(fronted):
    answer = httpx.post(f"{fronted.url}/predictions/circle", content=b'["a", 1]', trust_env=False)
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "invalid_row")
    assert answer.json()["model"] == "circle"


def test_canary_promote_rollback_and_shadow_under_load_lose_nothing(fronted):
    release = fronted.server.release
    with fronted.load() as load:
        release.shadow("circle", Share("2.0.0", 100))
        release.canary("circle", Canary("2.0.0", 50))
        time.sleep(1)
        release.promote("circle")
        assert release.management.default("circle") == "2.0.0"
        time.sleep(1)
        release.rollback("circle")
        time.sleep(1)
    assert {status for status, _ in load.seen} == {200}, load.seen
    assert {version for _, version in load.seen} == {"1.0.0", "2.0.0"}
    assert release.traffic.labels.models["circle"].stable == "1.0.0"


def test_a_worker_killed_under_load_is_noticed_by_nobody(fronted):
    release = fronted.server.release
    with fronted.load() as load:
        time.sleep(1)
        [one] = [one for one in release.management.versions("circle") if one.model_version == "1.0.0"]
        os.kill(one.workers[0].pid, signal.SIGKILL)
        time.sleep(3)
    assert {status for status, _ in load.seen} == {200}, load.seen
    release.management.wait_ready("circle", "1.0.0", 60)
    assert sum(load.seen.values()) > 100


def test_a_version_is_registered_promoted_and_the_old_one_retired_without_a_failure(fronted):
    release = fronted.server.release
    with fronted.load() as load:
        release.promote("circle", "2.0.0")
        release.retire("circle", "1.0.0")
        time.sleep(0.5)
    assert {status for status, _ in load.seen} == {200}, load.seen
    gone = httpx.post(f"{fronted.url}/predictions/circle/1.0.0", content=BODY, trust_env=False)
    assert (gone.status_code, gone.json()["error"]["type"]) == (404, "not_found")


def test_a_workers_span_reaches_the_collector_under_the_requests_own(archive, tmp_path):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    store = tmp_path / "store"
    store.mkdir()
    (store / archive.name).write_bytes(archive.read_bytes())
    settings = with_free_ports(Settings(ROOT / "config.properties", store, tmp_path / "state"))
    with listening(Upstream(lambda _, __: (200, b""))) as collector:
        server = start_server(settings, {"ONNXSERVE_TRACES": f"http://127.0.0.1:{collector.port}"})
        try:
            wait_until_ready(server, settings, 60)
            headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
            url = f"{settings.inference}/predictions/circle"
            assert httpx.post(url, content=BODY, headers=headers, trust_env=False).status_code == 200
            deadline = time.monotonic() + 20
            while not collector.seen and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            server.stop()
        assert bytes.fromhex(trace) in collector.seen[0].body


def test_a_torchserve_that_is_killed_and_started_again_breaks_no_connection(archive, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    (store / archive.name).write_bytes(archive.read_bytes())
    settings = with_free_ports(Settings(ROOT / "config.properties", store, tmp_path / "state"))
    server = start_server(settings)
    release = Release(Management(settings.management), History(settings.state), store, Traffic(settings.state))
    port, metrics = free_ports(2)
    intent = Intent(listen=Listen(port=port, metrics_port=metrics))
    edge = Edge(intent, (tmp_path / "edge").resolve(), settings.inference_port, settings.management_port)
    try:
        wait_until_ready(server, settings, 60)
        release.restore()
        door = start(edge, release.traffic.labels)
        try:
            with Load(Running(settings, release), "circle", BODY, threads=2, base=edge.url) as load:
                os.killpg(server.process.pid, signal.SIGKILL)
                server.process.wait(30)
                assert httpx.get(f"{edge.url}/v2/models/circle/ready", trust_env=False).status_code == 503
                server = start_server(settings)
                wait_until_ready(server, settings, 60)
                before = load.seen[200, "1.0.0"]
                time.sleep(2)
            assert load.seen[200, "1.0.0"] > before
            assert {status for status, _ in load.seen} == {200, 503}, load.seen
        finally:
            door.stop()
    finally:
        server.stop()
