"""Answers above what TorchServe takes from a worker: 507 of that request, and nobody else notices."""

from __future__ import annotations

import concurrent.futures
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from tests.helpers.gateway import TorchServeClient, gateway_before
from tests.helpers.messages import SERVICE, kind, message_of
from tests.helpers.torchserve import ROOT, running, stock_config
from tests.helpers.wide import ROWS, VALUES, export_wide

SMALL = b"[0.5, -1.0]"
FITTING = 800  # rows: their elements alone can be sent, as text they can't


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> tuple[Path, list[str]]:
    return export_wide(tmp_path_factory.mktemp("wide"))


@pytest.fixture(scope="module", params=["ours", "stock"])
def gateway(request, wide, tmp_path_factory) -> Iterator[TorchServeClient]:
    folder = tmp_path_factory.mktemp("large")
    config = stock_config(folder / "config") if request.param == "stock" else ROOT / "config.properties"
    with running(folder / "server", [wide[0]], config) as server, gateway_before(server) as gateway:
        yield gateway


def plain(rows: int) -> bytes:
    return json.dumps({"instances": [[0.5, -1.0]] * rows}).encode()


def v2(rows: int, *, binary: bool = False) -> bytes:
    tensor = {"name": "features", "datatype": "FP32", "shape": [rows, 2], "data": [0.5, -1.0] * rows}
    return json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": binary}}).encode()


def npy(gateway: TorchServeClient, rows: int) -> httpx.Response:
    stream = io.BytesIO()
    np.save(stream, np.array([[0.5, -1.0]] * rows, np.float32))
    media = "application/x-npy"
    return gateway.post("/predictions/wide", stream.getvalue(), Content_Type=media, accept=media)


def call(gateway: TorchServeClient, rows: int) -> Any:
    options = [("grpc.max_receive_message_length", 2**25)]
    with grpc.insecure_channel(gateway.url.removeprefix("http://"), options) as channel:
        ask = channel.unary_unary(f"/{SERVICE}/ModelInfer", response_deserializer=kind("ModelInferResponse").FromString)
        elements = {"fp32_contents": [0.5, -1.0] * rows}
        tensor = {"name": "features", "datatype": "FP32", "shape": [rows, 2], "contents": elements}
        return ask(message_of("ModelInferRequest", model_name="wide", inputs=[tensor]).SerializeToString(), timeout=60)


def test_in_every_form_what_is_too_large_is_507_and_what_fits_is_answered(gateway):
    for rows in (FITTING, ROWS):
        answer = gateway.post("/predictions/wide", plain(rows))
        assert (answer.status_code, answer.json()["error"]["type"]) == (507, "answer_too_large"), answer.text[:300]
        answer = gateway.post("/v2/models/wide/infer", v2(rows))
        assert (answer.status_code, answer.json()["error"].split(":")[0]) == (507, "answer_too_large")
    answer = gateway.post("/v2/models/wide/infer", v2(ROWS, binary=True))
    assert (answer.status_code, "answer_too_large" in answer.json()["error"]) == (507, True)
    assert npy(gateway, ROWS).status_code == 507
    with pytest.raises(grpc.RpcError) as caught:
        call(gateway, ROWS)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "answer_too_large" in caught.value.details()
    array = npy(gateway, FITTING)
    assert (array.status_code, np.load(io.BytesIO(array.content)).shape) == (200, (FITTING, VALUES))
    assert len(call(gateway, FITTING).raw_output_contents[0]) == 4 * FITTING * VALUES
    assert gateway.post("/v2/models/wide/infer", v2(FITTING, binary=True)).status_code == 200


def test_as_many_rows_as_the_error_says_are_answered(gateway):
    # Asked of TorchServe itself: without its plugin the gateway has an error's kind, and not its words.
    error = gateway.server.post("wide", plain(ROWS)).json()["error"]
    fitting = int(error["fix"].split()[3])
    assert 0 < fitting < FITTING
    assert gateway.server.post("wide", plain(fitting)).status_code == 200


def test_neighbours_in_the_batch_of_an_answer_that_is_too_large_are_answered_by_the_same_worker(gateway):
    def pids() -> list[int]:
        return [
            worker.pid for version in gateway.server.release.management.versions("wide") for worker in version.workers
        ]

    before, bodies = pids(), [plain(ROWS), *[SMALL] * 7] * 8
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda body: gateway.post("/predictions/wide", body), bodies))
    for body, answer in zip(bodies, answers, strict=True):
        assert answer.status_code == (200 if body == SMALL else 507), answer.text[:300]
    assert pids() == before


def test_the_export_says_how_many_rows_can_be_answered(wide):
    [line] = [line for line in wide[1] if "input.max_rows" in line]
    assert f"input.max_rows allows {ROWS} rows" in line
    assert "raise max_response_size in config.properties" in line
