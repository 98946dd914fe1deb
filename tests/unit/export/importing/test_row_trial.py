"""Whether a source takes several rows, by a trial of two."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.arrays import Arrays
from onnxserve_export.importing.outline import Fact, Outline
from onnxserve_export.importing.row_trial import read_rows, shapes_of, takes_one_row
from onnxserve_export.sources import InputSpec, SourceModel


class Tried(SourceModel):
    """A source whose answer is a function of its only tensor."""

    name = summary = free_axis_fix = "tried"
    inputs: tuple[InputSpec, ...] = ()

    def __init__(self, answer: Any, stated_rows: int = 0) -> None:
        self._answer, self.stated_rows = answer, stated_rows

    def answer(self, arrays: Arrays) -> Arrays:
        return {"y": self._answer(arrays["x"])}

    def runner(self, threads: int) -> Any:
        raise NotImplementedError

    def graph(self, example: Arrays, axes: Any) -> Any:
        raise NotImplementedError


def refusing(array: np.ndarray) -> np.ndarray:
    if len(array) > 1:
        raise ValueError
    return array


def failing(_array: np.ndarray) -> np.ndarray:
    raise ValueError


@pytest.mark.parametrize(
    ("answer", "stated", "alone"),
    [
        (lambda x: x * 2, 0, False),
        (lambda x: x * 2, 1, False),
        (refusing, 0, True),
        (lambda x: x.reshape(1, -1), 0, True),  # two rows in one
        (lambda x: x[0][x[0] > 0], 0, True),  # without a batch, as many as there are
        (lambda x: x - x.mean(0), 0, False),  # a fault that the export names
        (lambda x: x - x.mean(0), 1, True),  # its maker said that it takes one
        (failing, 1, False),  # nothing is known
    ],
)
def test_rows_run_alone_if_two_together_are_not_answered(answer, stated, alone):
    outline = Outline("net", {"input.kind": Fact("tensors", "")})
    outline.add("input.tensors", [{"name": "x", "dtype": "float32", "shape": [6]}], "")
    read_rows(outline, Tried(answer, stated))
    assert outline.get("serve.batch_size") == (1 if alone else None)


def of_eight(array: np.ndarray) -> np.ndarray:
    return array.reshape(8, 6)


@pytest.mark.parametrize("answer", [of_eight, lambda x: x.max(0, keepdims=True)])
def test_a_first_axis_of_another_fixed_size_is_refused_with_both_ways_out(answer):
    outline = Outline("net", {"input.kind": Fact("tensors", "")})
    outline.add("input.tensors", [{"name": "x", "dtype": "float32", "shape": [6]}], "")
    source = Tried(answer, stated_rows=8)
    source.inputs = (InputSpec("x", dtype="float32", shape=("batch", 6)),)
    with pytest.raises(DefinitionError, match="first axis of its inputs has 8 places") as refusal:
        read_rows(outline, source)
    assert "if it belongs to each row: --tensor x=float32[8,6]" in refusal.value.fix
    read_rows(outline, Tried(lambda x: x * 2, stated_rows=8))
    assert outline.get("serve.batch_size") is None


def test_rows_whose_scales_are_those_of_their_batch_run_alone():
    outline, source = Outline("net", {"input.kind": Fact("text", "")}), Tried(lambda x: x)
    source.scales_by_batch = True
    read_rows(outline, source)
    assert outline.get("serve.batch_size") == 1


def test_nothing_is_tried_where_sizes_or_numbers_are_unknown():
    outline = Outline("net", {"input.kind": Fact("image", "")})
    assert shapes_of(outline) == {}
    assert not takes_one_row(Tried(refusing), {})
    assert not takes_one_row(Tried(refusing), {"x": ("str", (3,))})


def test_pictures_are_tried_in_their_own_layout_and_free_axes_within_their_limits():
    sizes = {"input.height": 4, "input.width": 5, "input.layout": "NHWC", "input.dtype": "uint8"}
    outline = Outline(
        "net", {"input.kind": Fact("image", ""), **{name: Fact(size, "") for name, size in sizes.items()}}
    )
    assert shapes_of(outline) == {"image": ("uint8", (4, 5, 3))}
    tensors = [{"name": "x", "dtype": "int64", "shape": ["time", 2, "far"]}]
    facts = {"input.kind": "tensors", "input.tensors": tensors, "input.limits.time": 3}
    outline = Outline("net", {name: Fact(value, "") for name, value in facts.items()})
    assert shapes_of(outline) == {"x": ("int64", (3, 2, 8))}
