"""How large a request may be follows what a row is."""

from __future__ import annotations

import json

import numpy as np
import pytest

from onnxserve_export.importing.body_size import FILE, read_body_size
from onnxserve_export.importing.outline import Fact, Outline


def size_for(**facts: object) -> int | None:
    outline = Outline("net", {f"input.{name}": Fact(value, "") for name, value in facts.items()})
    read_body_size(outline)
    size: int | None = outline.get("input.max_bytes")
    return size


def tensor(*shape: int | str) -> list[dict[str, object]]:
    return [{"name": "x", "dtype": "float32", "shape": list(shape)}]


@pytest.mark.parametrize(
    ("facts", "size"),
    [
        ({"kind": "image"}, FILE),
        ({"kind": "audio"}, FILE),
        ({"kind": "audio", "max_bytes": 9}, 9),
        ({"kind": "text"}, None),
        ({"kind": "tensors", "tensors": tensor(3)}, None),
        ({"kind": "tensors", "tensors": tensor(3, 4096, 4096)}, FILE),
    ],
)
def test_files_and_large_tensors_get_room(facts, size):
    assert size_for(**facts) == size


def test_the_longest_row_fits_as_json():
    facts = {"kind": "tensors", "tensors": tensor("time", 80), "limits.time": 100}
    row = np.random.default_rng(0).normal(size=(100, 80)) * 1e-300
    assert len(json.dumps({"instances": [{"x": row.tolist()}]})) < (size_for(**facts) or 0) < FILE
