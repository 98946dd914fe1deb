"""On a real GPU: the proof holds there, recordings answer alike, limits refuse, and TorchServe hands GPUs out."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime as ort
import pytest

from onnxserve.archive import golden_bodies, reconfigure
from onnxserve_handlers.offline import OfflineContext
from onnxserve_handlers.runtime.gpu import Gpu
from onnxserve_handlers.runtime.session import CPU, CUDA, TENSORRT, Provider, ProviderRefused, Session
from tests.gpu.conftest import ARCHIVES, bodies, load
from tests.helpers.torchserve import running

ROOT = Path(__file__).parents[2]
SIZES = (1, 2, 3, 5, 16)


def close(left: Any, right: Any) -> bool:
    """Within what kernels for other shapes round differently."""
    return bool(np.abs(left - right).max() <= 2e-3 * max(1.0, float(np.abs(right).max())))


def test_the_proof_holds_on_this_gpu(archive):
    command = [sys.executable, "-m", "onnxserve", "archive", "verify", str(archive), "--rerun", "--gpu", "0", "--json"]
    completed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    report = json.loads(completed.stdout)["rerun"]
    assert report["refusal"] == ""
    assert report["paired"]["bound"] <= report["budget"]


def test_most_nodes_run_on_the_gpu_and_a_row_answers_alike_in_any_company(folder, inputs):
    handler = load(folder)
    nodes = handler.session.placement()
    assert nodes[CUDA] > nodes.get(CPU, 0)
    alone = np.concatenate([handler.outputs([row]) for row in inputs[:32]])
    together = handler.outputs(inputs[:32])
    assert close(together, alone)
    if handler.session._fixed_batch is not None:  # the same kernels for every batch
        np.testing.assert_array_equal(together, alone)


def answers(folder: Path, inputs: list[Any], *, graph: bool) -> list[Any]:
    """Outputs for batches of several sizes, thrice; in a process of its own, since a GPU can be lost to a process."""
    handler = load(folder, graph=graph)
    return [handler.outputs(inputs[again : again + size]) for again in range(3) for size in SIZES]


def test_recorded_kernels_answer_as_plain_ones(folder, inputs):
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        plain = alone.submit(answers, folder, inputs, graph=False).result()
        try:
            recorded = alone.submit(answers, folder, inputs, graph=True).result()
        except ProviderRefused as refused:  # shapes are free, or nodes are left to the CPU
            if "handler.gpu.graph" not in str(refused):
                raise
            return
    assert all(close(outputs, other) for outputs, other in zip(recorded, plain, strict=True))


def test_a_gpu_that_is_not_there_is_refused(folder):
    with pytest.raises(Exception, match=r"(?i)device|cuda"):
        load(folder, gpu_id=99)


def test_tensorrt_is_active_or_refused_never_replaced(folder):
    try:
        handler = load(folder, "tensorrt")
    except ProviderRefused:
        return
    assert handler.session._session.get_providers()[0] == TENSORRT


def test_where_memory_ends_requests_are_split_or_refused_one_by_one(folder, inputs):
    handler = load(folder)
    whole = [msgspec.json.decode(body) for body in handler.handle(bodies(inputs[:64]), OfflineContext(folder))]
    megabytes = (folder / "model.onnx").stat().st_size // 2**20
    for limit in (megabytes + 2, megabytes + 16, megabytes + 64):  # of the arena, which has the weights too
        try:
            tight = load(folder, memory_mb=limit)
        except RuntimeError as error:  # the weights or the golden rows don't fit: refused, not slow
            message = str(error).lower()
            if "memory" not in message:
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
            [about] = server.get(server.settings.management, f"/models/{name}?customized=true").json()
            assert about["customizedMetadata"]["provider"]["name"] == CUDA
            assert about["workers"][0]["gpu"] is True
