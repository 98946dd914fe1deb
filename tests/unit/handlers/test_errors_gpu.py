"""A worker whose GPU is lost answers its batch and ends; other failures cost only their rows."""

from __future__ import annotations

import time
from typing import Any

import pytest

from onnxserve_handlers.errors import InternalError, is_gpu_failure, isolate

LOST = "Error in execution: CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; file=cuda_graph.cc"


def test_a_worker_whose_gpu_is_lost_answers_its_batch_and_ends(monkeypatch):
    ended: list[int] = []
    monkeypatch.setattr("onnxserve_handlers.errors.RESPOND_S", 0.0)
    monkeypatch.setattr("os._exit", ended.append)

    def runs(_: Any) -> Any:
        raise RuntimeError(LOST)

    results = isolate(["a", "b"], runs)
    assert [type(result) for result in results] == [InternalError, InternalError]
    deadline = time.monotonic() + 60
    while not ended and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ended[0] == 1


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        (LOST, True),
        ("CUDA error 719: unspecified launch failure", True),
        ("CUDA failure 2: out of memory", False),  # the next row may fit
        ("CUDA failure 70000", False),
    ],
)
def test_errors_that_cuda_calls_sticky_are_known(text, gone):
    assert is_gpu_failure(RuntimeError(text)) == gone
