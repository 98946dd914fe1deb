"""The configuration of a Triton model."""

from __future__ import annotations

from typing import Any

import pytest

from onnxserve.convert.triton import configuration


@pytest.mark.parametrize(("pairs", "names"), [(False, ["text"]), (True, ["text", "text_pair"])])
def test_each_text_of_a_row_is_an_input(pairs, names):
    signature: dict[str, Any] = {
        "input": {"kind": "text", "pairs": pairs},
        "output": {"task": "rerank"},
        "inputs": [],
        "outputs": [{"name": "output_0", "dtype": "float32", "shape": ["batch", 1]}],
        "max_batch": 4,
    }
    inputs = configuration("demo", signature, {}).partition("output [")[0]
    assert [line.split('"')[1] for line in inputs.splitlines()[3:] if "name:" in line] == names
    assert inputs.count("TYPE_STRING") == len(names)
