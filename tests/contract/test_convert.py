"""The same archives under other servers: golden rows get torch's labels, bad requests the same errors."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest

from onnxserve.archive import read_config, read_signature
from onnxserve.convert import to_asgi, to_triton
from onnxserve.convert.triton import configuration
from onnxserve.processes import bound
from onnxserve.torchserve import free_ports
from onnxserve_handlers.runtime.session import intra_op_threads
from tests.helpers import plain_http

ROOT = Path(__file__).parents[2]
STORE = ROOT / "model_store"
CLIENTS = ROOT / ".venv" / "clients" / "bin" / "python"
MODELS = ("segment", "digits", "sentiment")


def mar(name: str) -> Path:
    return STORE / f"{name}-1.0.0.mar"


def golden(name: str) -> tuple[list[Any], list[str]]:
    """Instances, and torch's label for each."""
    with zipfile.ZipFile(mar(name)) as archive:
        rows = json.loads(archive.read("golden.json"))
    labels = read_signature(mar(name))["output"]["labels"]
    return rows["instances"], [labels[int(np.argmax(row))] for row in rows["outputs"]]


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Each archive has its own handlers, as in a process of its own: the packages of others are forgotten."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for name in [name for name in sys.modules if name.startswith("handlers_")]:
        del sys.modules[name]


def imported(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", MODELS)
def test_under_asgi_golden_rows_that_come_together_get_torchs_labels(name, tmp_path):
    server, *_ = to_asgi(mar(name), tmp_path)
    app = imported(server, f"asgi_{name}").app
    instances, labels = golden(name)

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://one") as client:
            path = f"/predictions/{name}"
            good = [client.post(path, json={"instances": [instance]}) for instance in instances]
            bad = client.post(path, json={"instances": [{"no": "row"}]})
            far = client.post("/predictions/nobody", json=[])
            ready = client.get("/v2/health/ready")
            return list(await asyncio.gather(*good, bad, far, ready))

    *good, bad, far, ready = asyncio.run(ask())
    assert [answer.json()["predictions"][0]["label"] for answer in good] == labels
    assert (bad.status_code // 100, far.status_code, ready.status_code) == (4, 404, 200)
    assert bad.json()["error"]["type"] in {"invalid_row", "undecodable_body"}


def test_the_one_file_runs_under_a_real_server_with_nothing_of_ours_to_import(tmp_path):
    to_asgi(mar("segment"), tmp_path)
    [port] = free_ports(1)
    # Only what requirements.txt names and uvicorn: this package is not on the path of that process.
    code = "import sys; sys.modules['onnxserve'] = sys.modules['handlers'] = None; import uvicorn; uvicorn.main()"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.Popen(
        bound(
            [sys.executable, "-c", code, "server:app", "--port", str(port), "--log-level", "warning"], signal.SIGTERM
        ),
        cwd=tmp_path,
        env=environment,
    )
    instances, labels = golden("segment")
    try:
        deadline = time.monotonic() + 180
        while True:
            assert time.monotonic() < deadline
            with contextlib.suppress(httpx.HTTPError):
                body = {"inputs": [{"name": "features", "shape": [1, 18], "datatype": "FP32", "data": instances[0]}]}
                answer = plain_http.post(f"http://127.0.0.1:{port}/v2/models/segment/infer", json=body)
                break
            time.sleep(0.2)
        outputs = {output["name"]: output["data"] for output in answer.json()["outputs"]}
        assert outputs["label"] == labels[:1]
        large = plain_http.post(f"http://127.0.0.1:{port}/predictions/segment", content=b"1" * 2**20)
        assert (large.status_code, large.json()["error"]["type"]) == (413, "too_large")
    finally:
        process.terminate()
        process.wait(20)


class Tensor:
    """In place of `pb_utils.Tensor`."""

    def __init__(self, name: str, array: Any) -> None:
        self._name, self._array = name, array

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> Any:
        return self._array


class Request:
    """In place of `pb_utils.InferenceRequest`."""

    def __init__(self, *tensors: Tensor, output_names: tuple[str, ...] = ("label", "score")) -> None:
        self._tensors, self._output_names = list(tensors), list(output_names)

    def inputs(self) -> list[Tensor]:
        return self._tensors

    def requested_output_names(self) -> list[str]:
        return self._output_names


def response(output_tensors: Any = None, error: Any = None) -> SimpleNamespace:
    return SimpleNamespace(outputs={tensor.name(): tensor.as_numpy() for tensor in output_tensors or ()}, error=error)


@pytest.fixture
def backend(monkeypatch):
    """The parts of Triton's module that the model uses; the real one exists inside Triton only."""
    fake = ModuleType("triton_python_backend_utils")
    vars(fake).update(Tensor=Tensor, InferenceResponse=response, TritonError=str)
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", fake)


def tensor_of(name: str, instance: Any) -> Tensor:
    if name == "segment":
        return Tensor("features", np.array([instance], np.float32))
    row = base64.b64decode(instance) if name == "digits" else instance.encode()
    return Tensor("image" if name == "digits" else "text", np.array([[row]], np.object_))


@pytest.mark.parametrize("name", MODELS)
def test_behind_tritons_python_backend_golden_rows_get_torchs_labels(name, tmp_path, backend):
    to_triton(mar(name), tmp_path)
    model = imported(tmp_path / name / "1000000" / "model.py", f"triton_{name}").TritonPythonModel()
    text = {name: {"string_value": value} for name, value in (("provider", "auto"), ("threads", "0"))}
    config = json.dumps({"parameters": text, "instance_group": [{"count": 2}]})
    model.initialize({"model_instance_kind": "CPU", "model_instance_device_id": "0", "model_config": config})
    assert model.handler.threads == intra_op_threads(2)
    instances, labels = golden(name)
    bad = Request(Tensor("nothing", np.ones((1, 2), np.float32)))
    *good, refused = model.execute([*(Request(tensor_of(name, instance)) for instance in instances), bad])
    assert [response.outputs["label"][0, 0].decode() for response in good] == labels
    assert all(
        set(response.outputs) == {"label", "score"} and response.outputs["score"].shape == (1, 1) for response in good
    )
    assert "nothing" in refused.error


def test_tritons_own_schema_takes_the_configuration(tmp_path):
    for name in MODELS:
        to_triton(mar(name), tmp_path)
    code = (
        "import sys, pathlib; from google.protobuf import text_format; from tritonclient.grpc import model_config_pb2\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).glob('*/config.pbtxt')):\n"
        "    found = text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())\n"
        "    print(found.name, found.max_batch_size, [one.name for one in found.input], len(found.output))\n"
    )
    completed = subprocess.run([str(CLIENTS), "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr
    lines = completed.stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(MODELS)
    assert "['features']" in lines[1]
    assert "['text']" in lines[2]


def test_a_gpus_archive_asks_triton_for_gpus():
    config = read_config(mar("segment"))
    config["handler"] = {"provider": "cuda"}
    text = configuration("segment", read_signature(mar("segment")), config)
    assert "KIND_GPU" in text
    assert 'string_value: "cuda"' in text
