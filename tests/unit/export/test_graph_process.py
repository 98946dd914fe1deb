"""Batches run at the same time, and their outputs come in order."""

import threading
from collections.abc import Iterator
from typing import Any

import onnxruntime as ort
import pytest

from onnxserve_export.graph_process import in_order, session
from onnxserve_handlers.runtime import session as served_session


def test_as_many_batches_run_at_a_time_as_there_are_threads_and_outputs_keep_their_order():
    together = threading.Barrier(3, timeout=60)

    def run(batch: dict[str, Any]) -> list[int]:
        together.wait()
        return [batch["number"]]

    outputs = in_order(run, ({"number": number} for number in range(12)), threads=3)
    assert list(outputs) == [[number] for number in range(12)]


def test_few_batches_are_read_ahead():
    read = 0

    def batches() -> Iterator[dict[str, Any]]:
        nonlocal read
        for number in range(100):
            read += 1
            yield {"number": number}

    outputs = in_order(lambda batch: [batch["number"]], batches(), threads=2)
    assert next(outputs) == [0]
    assert read == 3
    assert list(outputs) == [[number] for number in range(1, 100)]


def test_a_batch_that_fails_ends_the_run():
    def run(batch: dict[str, Any]) -> list[int]:
        raise ValueError(batch["number"])

    with pytest.raises(ValueError, match="0"):
        list(in_order(run, [{"number": 0}, {"number": 1}], threads=2))


def test_a_session_in_which_the_cpu_took_openvinos_place_is_refused(monkeypatch):
    class Fallen:
        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    monkeypatch.setattr(served_session, "add_openvino", lambda options, threads: [])
    monkeypatch.setattr(ort, "InferenceSession", lambda *_, **__: Fallen())
    with pytest.raises(RuntimeError, match="OpenVINO can't open the graph"):
        session("m.onnx", provider="openvino")
