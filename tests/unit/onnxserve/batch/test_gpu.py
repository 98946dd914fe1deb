"""Each worker of a machine gets a GPU of its own."""

from __future__ import annotations

from typing import IO

import pytest

from onnxserve.batch import gpu
from onnxserve.errors import BatchError


@pytest.fixture
def held(monkeypatch):
    held: list[IO[str]] = []
    monkeypatch.setattr(gpu, "_held", held)
    yield held
    for stream in held:
        stream.close()


def test_workers_of_one_machine_get_different_gpus_until_none_is_left(held, tmp_path):
    assert [gpu.claim(3, {}, tmp_path) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(BatchError, match="all of 3 GPUs are taken"):
        gpu.claim(3, {}, tmp_path)
    held.pop().close()
    assert gpu.claim(3, {}, tmp_path) == 2


def test_places_count_among_the_gpus_that_are_visible(held, tmp_path):
    assert gpu.claim(4, {"CUDA_VISIBLE_DEVICES": "5"}, tmp_path) == 0
    assert gpu.claim(4, {"CUDA_VISIBLE_DEVICES": "5"}, tmp_path) == 0, "Ray has given each worker its own"
    assert [gpu.claim(4, {"CUDA_VISIBLE_DEVICES": "6, 7"}, tmp_path) for _ in range(2)] == [0, 1]
