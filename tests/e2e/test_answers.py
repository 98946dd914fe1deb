"""What handlers do for the gateway, through a real TorchServe: less for limited clients, notes, descriptions."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from onnxserve.gateway import Canary
from onnxserve.gateway.config import Guard
from onnxserve.release.observations import NAME
from tests.helpers.gateway import TorchServeClient, gateway_before
from tests.helpers.messages import SERVICE, kind, message_of
from tests.helpers.torchserve import running
from tests.helpers.waiting import wait_for

ROW = [0.0, 0.123456]
TENSOR = {"name": "features", "datatype": "FP32", "shape": [1, 2]}
V2 = "/v2/models/circle/infer"


@pytest.fixture(scope="module")
def gateway(archive, next_archive, tmp_path_factory) -> Iterator[TorchServeClient]:
    with (
        running(tmp_path_factory.mktemp("server"), [archive, next_archive]) as server,
        gateway_before(server, guard=Guard(digits=2)) as client,
    ):
        server.release.promote("circle", "1.0.0")
        yield client


def call(gateway: TorchServeClient, method: str, **fields: Any) -> Any:
    with grpc.insecure_channel(gateway.url.removeprefix("http://")) as channel:
        path = f"/{SERVICE}/{method}"
        ask = channel.unary_unary(path, response_deserializer=kind(f"{method}Response").FromString)
        return ask(message_of(f"{method}Request", **fields).SerializeToString(), timeout=60)


def short(number: float) -> bool:
    return bool(np.float32(number) == np.float32(round(number, 2)))


def test_a_limited_client_gets_two_decimals_in_every_form(gateway):
    plain = gateway.post("/predictions/circle", json.dumps(ROW).encode())
    assert short(plain.json()["predictions"][0]["score"]), plain.text
    assert "x-onnxserve-limited" not in plain.headers
    request = {"inputs": [{**TENSOR, "data": ROW}]}
    document = gateway.post(V2, json.dumps(request).encode()).json()
    assert all(
        len(str(number).partition(".")[2]) <= 2 for output in document["outputs"] for number in output["data"][:9]
    )
    binary = gateway.post(V2, json.dumps({**request, "parameters": {"binary_data_output": True}}).encode())
    head = int(binary.headers["inference-header-content-length"])
    assert all(map(short, np.frombuffer(binary.content[head : head + 8], "<f4").tolist()))
    stream = io.BytesIO()
    np.save(stream, np.array([ROW], np.float32))
    media = "application/x-npy"
    array = np.load(
        io.BytesIO(gateway.post("/predictions/circle", stream.getvalue(), Content_Type=media, accept=media).content)
    )
    assert all(map(short, array.reshape(-1).tolist()))
    tensor = {**TENSOR, "contents": {"fp32_contents": ROW}}
    answer = call(gateway, "ModelInfer", model_name="circle", inputs=[tensor])
    assert all(map(short, np.frombuffer(answer.raw_output_contents[0], "<f4").tolist()))


def test_whole_scores_are_noted_while_a_canary_runs(gateway):
    gateway.server.release.canary("circle", Canary("2.0.0", 50))
    path = gateway.running.gateway.run / NAME
    try:
        assert gateway.post("/predictions/circle", json.dumps(ROW).encode()).status_code == 200
        wait_for(path.read_text)
    finally:
        gateway.server.release.rollback("circle")
    [note] = json.loads(json.loads(path.read_text().splitlines()[0])["said"])
    assert set(note) == {"label", "score"}
    assert not short(note["score"])


def test_a_model_describes_its_rows_and_tensors_over_both_protocols(gateway):
    schemas = gateway.get("/openapi.json").json()["components"]["schemas"]
    assert schemas["circle.row"]["oneOf"][0]["minItems"] == 2
    metadata = gateway.get("/v2/models/circle").json()
    assert metadata["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 2]}]
    about = call(gateway, "ModelMetadata", name="circle")
    assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in about.inputs] == [
        ("features", "FP32", [-1, 2])
    ]
