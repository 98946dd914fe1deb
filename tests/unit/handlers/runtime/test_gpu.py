"""Options for a GPU's provider, and runs at a fixed batch size, as a GPU replays them."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from onnxserve_handlers.runtime.gpu import (
    FixedBatch,
    Gpu,
    cuda_options,
    has_fixed_shapes,
    read_gpu,
    tensorrt_options,
    tensorrt_shapes,
)
from onnxserve_handlers.runtime.session import CPU, CUDA, Provider, ProviderRefused, Session
from onnxserve_handlers.signature import Tensor


def test_a_session_keeps_to_its_device_its_memory_one_stream_and_whole_floats():
    options = cuda_options(3, Gpu(memory_mb=512))
    assert options["device_id"] == "3"
    assert options["gpu_mem_limit"] == str(512 * 2**20)
    assert options["arena_extend_strategy"] == "kSameAsRequested"
    assert options["do_copy_in_default_stream"] == "1"
    assert options["use_tf32"] == "0"
    assert "enable_cuda_graph" not in options


def test_what_is_not_asked_for_is_not_limited_and_what_is_is_told():
    options = cuda_options(0, Gpu(graph=True, tf32=True))
    assert "gpu_mem_limit" not in options
    assert (options["enable_cuda_graph"], options["use_tf32"]) == ("1", "1")


def test_settings_come_from_the_archives_configuration_and_a_wrong_one_is_named():
    assert read_gpu({}) == Gpu()
    assert read_gpu({"gpu": {"memory_mb": 64}}) == Gpu(memory_mb=64)
    with pytest.raises(msgspec.ValidationError, match="graphs"):
        read_gpu({"gpu": {"graphs": True}})


@pytest.mark.parametrize(
    ("variant", "fp16", "int8"),
    [
        ("fp32", False, False),
        ("fp16", True, False),
        ("int8", False, True),
        ("mixed", False, True),
        ("int8-dynamic", False, False),  # has no ranges, which TensorRT would need
    ],
)
def test_tensorrt_computes_as_exactly_as_the_variant_that_was_proven(tmp_path, variant, fp16, int8):
    options = tensorrt_options(1, Gpu(), variant, tmp_path, {})
    assert (options["trt_fp16_enable"], options["trt_int8_enable"]) == (str(fp16), str(int8))
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(tmp_path)


def test_tensorrt_builds_one_engine_for_all_shapes():
    inputs = [Tensor("ids", "int64", ("batch", "sequence")), Tensor("extra", "float32", ("batch", 3))]
    shapes = tensorrt_shapes(inputs, 16, {"sequence": 128})
    assert shapes["trt_profile_min_shapes"] == "ids:1x1,extra:1x3"
    assert shapes["trt_profile_max_shapes"] == shapes["trt_profile_opt_shapes"] == "ids:16x128,extra:16x3"
    assert tensorrt_shapes(inputs, 16, {}) == {}, "a handler of one's own may not know how long rows get"


def fixed_batch(shape: list[Any], largest: int = 8) -> FixedBatch:
    return FixedBatch(ort.InferenceSession(graph(shape), providers=[CPU]), "cpu", 0, largest, graph=True)


def graph(shape: list[Any]) -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
    graph = helper.make_graph([helper.make_node("Mul", ["x", "x"], ["y"])], "square", [x], [y])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    serialised: bytes = proto.SerializeToString()
    return serialised


def test_padded_runs_answer_each_row_as_plain_ones_and_keep_nothing_of_earlier_rows():
    runs, draws = fixed_batch(["batch", 3]), np.random.default_rng(0)
    for rows in (5, 1, 8, 3, 12, 7):  # batch scoring may run twelve
        x = draws.normal(size=(rows, 3)).astype(np.float32)
        np.testing.assert_array_equal(runs.run({"x": x})["y"], x * x)
    assert runs.size == 12


def test_every_run_is_of_one_size(monkeypatch):
    runs = fixed_batch(["batch", 2], largest=6)
    assert runs.run({"x": np.ones((1, 2), np.float32)})["y"].shape == (1, 2)
    monkeypatch.setattr(runs, "_slot", None)  # it is never called again
    for rows in (6, 2):
        assert runs.run({"x": np.ones((rows, 2), np.float32)})["y"].shape == (rows, 2)


def test_an_answer_outlives_the_next_run():
    runs = fixed_batch(["batch", 2])
    first = runs.run({"x": np.full((2, 2), 3, np.float32)})["y"]
    runs.run({"x": np.full((2, 2), 5, np.float32)})
    assert first.tolist() == [[9, 9], [9, 9]]


@pytest.mark.parametrize(("shape", "known"), [(["batch", 3], True), (["batch", "length"], False)])
def test_only_shapes_that_are_fixed_beside_the_batch_are_padded(shape, known):
    session = ort.InferenceSession(graph(shape), providers=[CPU])
    assert has_fixed_shapes(session.get_inputs()) == known


@pytest.fixture
def on_cuda(monkeypatch):
    """Make sessions that report CUDA and run on the CPU."""
    real = ort.InferenceSession

    class OnCuda:
        def __init__(self, model: bytes, *_: Any, **__: Any) -> None:
            self.real = real(model, providers=[CPU])

        def get_providers(self) -> list[str]:
            return [CUDA, CPU]

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

    monkeypatch.setattr(ort, "InferenceSession", OnCuda)


def test_a_recording_of_free_shapes_is_refused(on_cuda):
    with pytest.raises(ProviderRefused, match="fixed beside the batch"):
        Session(graph(["batch", "length"]), Provider(CUDA, gpu=Gpu(graph=True)), 1)
    assert Session(graph(["batch", "length"]), Provider(CUDA), 1)._fixed_batch is None
    fixed_shapes = Session(graph(["batch", 2]), Provider(CUDA), 1, 6)._fixed_batch
    assert fixed_shapes is not None
    assert fixed_shapes.size == 6


def test_a_gpu_runs_before_requests_come_and_a_cpu_need_not(on_cuda, monkeypatch):
    for provider, runs in ((Provider(CUDA), 3), (Provider(CPU), 0)):
        session, sizes = Session.__new__(Session), list[int]()
        session.provider = provider
        monkeypatch.setattr(session, "run", lambda arrays, sizes=sizes: sizes.append(len(arrays["x"])), raising=False)
        session.warm({"x": np.ones((1, 2), np.float32)})
        assert len(sizes) == runs


def test_a_recording_that_leaves_nodes_to_the_cpu_is_refused(monkeypatch):
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("This session cannot use the graph capture feature as requested by the user")

    monkeypatch.setattr(ort, "InferenceSession", fails)
    with pytest.raises(ProviderRefused, match="left to the CPU"):
        Session(graph(["batch", 2]), Provider(CUDA, gpu=Gpu(graph=True)), 1)


def test_a_session_says_where_its_nodes_run():
    assert Session(graph(["batch", 2]), Provider(CPU), 1).placement() == {CPU: 1}
