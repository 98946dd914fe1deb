"""On a real GPU: the proof holds there, recordings answer alike, limits refuse, and TorchServe hands GPUs out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import onnxruntime as ort
import pytest

from handlers.gpu import Gpu
from handlers.offline import OfflineContext
from handlers.padded import fixed
from handlers.session import CPU, CUDA, TENSORRT, Provider, ProviderRefused, Session
from onnxserve.archive import golden_bodies, reconfigure
from tests.e2e.server import running
from tests.gpu.conftest import ARCHIVES, bodies

ROOT = Path(__file__).parents[2]
SIZES = (1, 2, 3, 5, 16)


def close(left: Any, right: Any) -> bool:
    """Within what kernels for other shapes round differently."""
    return bool(np.abs(left - right).max() <= 2e-3 * max(1.0, float(np.abs(right).max())))


def test_the_proof_holds_on_this_gpu(archive):
    command = [sys.executable, "-m", "onnxserve", "verify", str(archive), "--rerun", "--gpu", "0", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)["rerun"]
    assert found["refusal"] == ""
    assert found["paired"]["bound"] <= found["budget"]


def test_most_nodes_run_on_the_gpu_and_a_row_answers_alike_in_any_company(loaded, inputs):
    handler = loaded()
    nodes = handler.session.placement()
    assert nodes[CUDA] > nodes.get(CPU, 0)
    alone = np.concatenate([handler.outputs([one]) for one in inputs[:32]])
    assert close(handler.outputs(inputs[:32]), alone)


def test_recorded_kernels_answer_as_plain_ones(loaded, inputs):
    plain = loaded()
    graph = plain.session._session
    if not fixed([*graph.get_inputs(), *graph.get_outputs()]):
        with pytest.raises(ProviderRefused, match="fixed beside the batch"):
            loaded(graph=True)
        return
    recorded = loaded(graph=True)
    for again in range(3):  # the first runs of a size record, later ones replay
        for size in SIZES:
            rows = inputs[again : again + size]
            assert close(recorded.outputs(rows), plain.outputs(rows)), (again, size)


def test_a_gpu_that_is_not_there_is_refused(loaded):
    with pytest.raises(Exception, match=r"(?i)device|cuda"):
        loaded(gpu_id=99)


def test_tensorrt_is_active_or_refused_never_replaced(loaded):
    try:
        handler = loaded("tensorrt")
    except ProviderRefused:
        return
    assert handler.session._session.get_providers()[0] == TENSORRT


def test_where_memory_ends_requests_are_split_or_refused_one_by_one(loaded, folder, inputs):
    handler = loaded()
    whole = [msgspec.json.decode(body) for body in handler.handle(bodies(inputs[:64]), OfflineContext(folder))]
    megabytes = (folder / "model.onnx").stat().st_size // 2**20
    for limit in (megabytes + 2, megabytes + 16, megabytes + 64):  # of the arena, which has the weights too
        try:
            tight = loaded(memory_mb=limit)
        except RuntimeError as error:  # the weights or the golden rows don't fit: refused, not slow
            said = str(error).lower()
            if "memory" not in said:
                raise
            continue
        context = OfflineContext(folder)
        answers = [msgspec.json.decode(body) for body in tight.handle(bodies(inputs[:64]), context)]
        for place, (answer, expected) in enumerate(zip(answers, whole, strict=True)):
            if "predictions" in answer:
                assert answer["predictions"][0].get("label") == expected["predictions"][0].get("label")
            else:
                assert context.statuses[place][0] == 507, answer


def test_a_session_keeps_to_the_options_it_was_given(folder):
    session = Session(folder / "model.onnx", Provider(CUDA, 0, gpu=Gpu(memory_mb=4096)), 1)
    options = session._session.get_provider_options()[CUDA]
    assert options["device_id"] == "0"
    assert options["gpu_mem_limit"] == str(4096 * 2**20)
    assert options["use_tf32"] == "0"


def test_this_onnxruntime_is_the_gpu_build():
    assert CUDA in ort.get_available_providers()
    assert ARCHIVES, "no archive in GPU_STORE"


def test_torchserve_gives_workers_the_gpu_and_they_answer_from_it(tmp_path):
    archives = []
    (tmp_path / "given").mkdir()
    for path in ARCHIVES:
        target = tmp_path / "given" / path.name
        reconfigure(path, target, {"handler": {"provider": "cuda"}})
        archives.append(target)
    with running(tmp_path, archives) as server:
        for path in archives:
            name = path.stem.rpartition("-")[0]
            for body in golden_bodies(path):
                answer = server.post(name, body)
                assert answer.status_code == 200, answer.text
            url = f"{server.settings.management}/models/{name}?customized=true"
            [about] = httpx.get(url, timeout=30, trust_env=False).json()
            assert about["customizedMetadata"]["provider"]["name"] == CUDA
            assert about["workers"][0]["gpu"] is True
