"""A real nginx before a real TorchServe: releases and accidents under load, counted from outside."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator

import numpy as np
import pytest

from onnxserve.archive import reconfigure
from onnxserve.gateway import Canary, Share
from onnxserve.torchserve import Settings, start_server
from tests.helpers import plain_http
from tests.helpers.gateway import TorchServeClient, gateway_before, wait_answers
from tests.helpers.torchserve import ROOT, running, wait_until_ready
from tests.helpers.upstream import Upstream, listening

BODY = json.dumps([0.0, 0.1]).encode()


@pytest.fixture(scope="module")
def gateway(archive, next_archive, tmp_path_factory) -> Iterator[TorchServeClient]:
    """Version 1.0.0 with two workers, 2.0.0 with one."""
    folder = tmp_path_factory.mktemp("gateway")
    reconfigure(archive, folder / "in" / archive.name, {"minWorkers": 2, "maxWorkers": 2})
    with running(folder, [folder / "in" / archive.name, next_archive]) as server, gateway_before(server) as client:
        server.release.promote("circle", "1.0.0")
        yield client


def test_every_protocol_is_answered_and_management_is_out_of_reach(gateway):
    answer = plain_http.post(f"{gateway.url}/predictions/circle", content=BODY)
    assert answer.json()["version"] == answer.headers["x-onnxserve-version"] == "1.0.0"
    values = np.array([[0.0, 0.1]], dtype="<f4")
    name = gateway.get("/v2/models/circle").json()["inputs"][0]["name"]
    tensor = {"name": name, "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": values.nbytes}}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
    binary = plain_http.post(
        f"{gateway.url}/v2/models/circle/versions/2.0.0/infer",
        content=head + values.tobytes(),
        headers=headers,
    )
    assert (binary.status_code, binary.json()["model_version"]) == (200, "2.0.0")
    instances = plain_http.post(f"{gateway.url}/v1/models/circle:predict", json={"instances": [[0, 0], [9, 9]]})
    assert [prediction["label"] for prediction in instances.json()["predictions"]] == ["inside", "outside"]
    assert gateway.get("/v2/models/circle/ready").json() == {"name": "circle", "version": "1.0.0", "ready": True}
    assert gateway.get("/v2/health/ready").json() == {"ready": True}
    for path in ("/models", "/models/circle", "/workflows", "/ping"):
        assert gateway.get(path).status_code == 404


def test_bad_rows_keep_their_own_errors(gateway):
    answer = plain_http.post(f"{gateway.url}/predictions/circle", content=b'["a", 1]')
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "invalid_row")
    assert answer.json()["model"] == "circle"


def test_canary_promote_rollback_and_shadow_under_load_lose_nothing(gateway):
    release = gateway.server.release
    with gateway.load("circle", BODY) as load:
        release.shadow("circle", Share("2.0.0", 100))
        release.canary("circle", Canary("2.0.0", 50))
        wait_answers(load, "2.0.0")
        release.promote("circle")
        assert release.management.default("circle") == "2.0.0"
        wait_answers(load, "2.0.0")
        release.rollback("circle")
        wait_answers(load, "1.0.0", 200)
    assert {status for status, _ in load.answers} == {200}, load.answers
    assert {version for _, version in load.answers} == {"1.0.0", "2.0.0"}
    assert release.role_store.roles.models["circle"].stable == "1.0.0"


def workers(gateway: TorchServeClient) -> int:
    """Those of 1.0.0 that are ready."""
    management = gateway.server.release.management
    [known] = [known for known in management.versions("circle") if known.model_version == "1.0.0"]
    return sum(worker.status == "READY" for worker in known.workers)


def test_a_worker_killed_under_load_is_noticed_by_nobody(gateway):
    release = gateway.server.release
    with gateway.load("circle", BODY) as load:
        [version] = [version for version in release.management.versions("circle") if version.model_version == "1.0.0"]
        os.kill(version.workers[0].pid, signal.SIGKILL)
        release.management.wait("the loss is known", lambda: workers(gateway) == 1, 60)
        wait_answers(load, "1.0.0", 200)
        release.management.wait("another worker", lambda: workers(gateway) == 2, 60)
        wait_answers(load, "1.0.0", 200)
    assert {status for status, _ in load.answers} == {200}, load.answers


def test_a_version_is_registered_promoted_and_the_old_one_retired_without_a_failure(gateway):
    release = gateway.server.release
    with gateway.load("circle", BODY) as load:
        release.promote("circle", "2.0.0")
        release.retire("circle", "1.0.0")
        wait_answers(load, "2.0.0")
    assert {status for status, _ in load.answers} == {200}, load.answers
    missing = plain_http.post(f"{gateway.url}/predictions/circle/1.0.0", content=BODY)
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "not_found")


def test_a_workers_span_reaches_the_collector_under_the_requests_own(archive, tmp_path):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    settings = stored(archive, tmp_path)
    with listening(Upstream(lambda _, __: (200, b""))) as collector:
        server = start_server(settings, {"ONNXSERVE_TRACES": f"http://127.0.0.1:{collector.port}"})
        try:
            wait_until_ready(server, settings)
            headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "Content-Type": "application/json"}
            with settings.inference.client(60, headers) as client:
                assert client.post("/predictions/circle", content=BODY).status_code == 200
            deadline = time.monotonic() + 60
            while not collector.requests and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            server.stop()
        assert bytes.fromhex(trace) in collector.requests[0].body


def stored(archive, folder) -> Settings:
    store = folder / "store"
    store.mkdir()
    (store / archive.name).write_bytes(archive.read_bytes())
    return Settings(ROOT / "config.properties", store, folder / "state")
