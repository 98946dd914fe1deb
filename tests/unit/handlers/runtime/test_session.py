"""Execution providers, threads, golden rows: what must keep a worker from loading."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from onnxserve_handlers.runtime import session
from onnxserve_handlers.runtime.session import (
    CPU,
    CUDA,
    OPENVINO,
    TENSORRT,
    Provider,
    ProviderRefused,
    Session,
    cgroup_cpus,
    choose_provider,
    intra_op_threads,
    provider_specs,
    session_options,
)


@pytest.fixture
def model(tmp_path):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "double", [x], [y])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(proto, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@pytest.mark.parametrize(
    ("requested", "gpu", "available", "name", "device"),
    [
        ("cpu", 1, [CUDA, CPU], CPU, 0),
        ("cuda", 3, [CUDA, CPU], CUDA, 3),
        ("tensorrt", 1, [TENSORRT, CUDA, CPU], TENSORRT, 1),
        ("openvino", None, [CPU, OPENVINO], OPENVINO, 0),
        ("auto", None, [CUDA, CPU], CPU, 0),
        ("auto", 2, [CUDA, CPU], CUDA, 2),
        ("auto", 2, [CPU], CPU, 0),
        ("auto", None, [CPU, OPENVINO], CPU, 0),
    ],
)
def test_the_provider_follows_the_request_the_gpu_and_the_build(requested, gpu, available, name, device):
    chosen = choose_provider(requested, gpu, available)
    assert (chosen.name, chosen.device_id) == (name, device)
    assert chosen.reason


@pytest.mark.parametrize(
    ("requested", "fix"),
    [
        ("cuda", "install onnxruntime-gpu"),
        ("tensorrt", "install onnxruntime-gpu"),
        ("openvino", "install onnxruntime-openvino"),
        ("tpu", "use 'auto', 'cpu', 'openvino'"),
    ],
)
def test_a_provider_that_cannot_be_had_is_refused(requested, fix):
    with pytest.raises(ProviderRefused, match=fix):
        choose_provider(requested, 0, [CPU])


def test_a_session_that_fell_back_to_the_cpu_is_refused(model, monkeypatch):
    class Fallen:
        def get_providers(self) -> list[str]:
            return [CPU]

    monkeypatch.setattr(ort, "InferenceSession", lambda *_, **__: Fallen())
    with pytest.raises(ProviderRefused, match="CUDAExecutionProvider was asked for"):
        Session(model, Provider(CUDA, 0), 1)


def test_openvino_that_runs_no_node_is_refused(model, monkeypatch):
    class Idle:
        def get_providers(self) -> list[str]:
            return [OPENVINO, CPU]

        def get_outputs(self) -> list[Any]:
            return []

        def get_provider_graph_assignment_info(self) -> list[Any]:
            return [SimpleNamespace(ep_name=CPU, get_nodes=lambda: ["add"])]

    given: list[int] = []
    monkeypatch.setattr(session, "add_openvino", lambda _, threads: given.append(threads))
    monkeypatch.setattr(ort, "InferenceSession", lambda *_, **__: Idle())
    with pytest.raises(ProviderRefused, match="OpenVINO runs none of the graph's nodes"):
        Session(model, Provider(OPENVINO), 3)
    assert given == [3]


def test_cuda_is_asked_for_alone_with_the_device_of_the_worker(model, monkeypatch):
    seen: dict[str, Any] = {}

    class Spy:
        def __init__(self, _path: str, _options: Any, providers: Any) -> None:
            seen["providers"] = providers

        def get_providers(self) -> list[str]:
            return [CUDA]

        def get_outputs(self) -> list[Any]:
            return []

        get_inputs = get_outputs

    monkeypatch.setattr(ort, "InferenceSession", Spy)
    Session(model, Provider(CUDA, 3), 1)
    [(name, options)] = seen["providers"]
    assert (name, options["device_id"]) == (CUDA, "3")


def test_tensorrt_leaves_to_cuda_what_it_cannot_take_but_nothing_to_the_cpu(tmp_path):
    [(first, options), (second, device)] = provider_specs(Provider(TENSORRT, 2), tmp_path)
    assert (first, second) == (TENSORRT, CUDA)
    assert options["device_id"] == device["device_id"] == "2"


def test_io_binding_gives_what_a_plain_run_gives(model):
    loaded = Session(model, Provider(CPU), 1)
    arrays = {"x": np.array([[1, 2], [3, 4]], dtype=np.float32)}
    np.testing.assert_array_equal(loaded.run(arrays)["y"], [[2, 4], [6, 8]])
    np.testing.assert_array_equal(loaded.run_bound(arrays, "cpu", 0)["y"], [[2, 4], [6, 8]])


def test_a_cuda_session_runs_through_io_binding_on_its_device(model, monkeypatch):
    loaded = Session(model, Provider(CPU), 1)
    monkeypatch.setattr(loaded, "run_bound", lambda _, device, number: {"y": (device, number)})
    loaded.provider = Provider(CUDA, 2)
    assert loaded.run({"x": np.zeros((1, 2), np.float32)})["y"] == ("cuda", 2)


def test_threads_share_the_quota_of_either_cgroup_version(tmp_path):
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert cgroup_cpus(tmp_path) == 1.5
    assert intra_op_threads(4, 0, tmp_path) == 1
    assert intra_op_threads(4, 3, tmp_path) == 3
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cgroup_cpus(tmp_path) is None
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("200000")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert cgroup_cpus(tmp_path) == 2


def test_a_session_neither_spins_nor_joins_sums_and_norms():
    options = session_options(1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.get_session_config_entry("optimization.disable_specified_optimizers") == "SkipLayerNormFusion"
