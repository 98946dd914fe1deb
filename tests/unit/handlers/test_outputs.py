"""Outputs with free axes: each row has its own size, whichever rows stood beside it."""

from __future__ import annotations

import numpy as np
import pytest

from onnxserve_handlers.outputs import (
    FreeAxis,
    Outputs,
    concatenate,
    drop_rows,
    free_axes,
    join,
    with_masks,
    with_sizes,
)
from onnxserve_handlers.signature import Tensor

TAGS = (FreeAxis("tags", 1, "sequence"),)


def tags(*sizes: int) -> Outputs:
    """Return tags of rows of these sizes, which are never zero, with rubbish behind each row's own part."""
    arrays = {"tags": np.full((len(sizes), max(sizes) + 1, 2), 7.0, np.float32)}
    return with_sizes(arrays, TAGS, {"sequence": sizes})


def test_free_axes_are_the_named_ones_beside_the_batch():
    tensors = (Tensor("tags", "float32", ("batch", "sequence", 5)), Tensor("pooled", "float32", ("batch", 8)))
    assert free_axes(tensors) == TAGS


def test_what_lies_behind_a_rows_own_size_is_zero():
    outputs = tags(1, 3)
    assert outputs["tags"].shape == (2, 3, 2)
    assert outputs["tags"][0, 1:].tolist() == [[0, 0], [0, 0]]
    assert outputs.row(0)["tags"].tolist() == [[7, 7]]
    assert outputs.row(1)["tags"].shape == (3, 2)


def test_some_rows_are_cut_to_the_largest_of_their_own_sizes():
    outputs = tags(1, 5, 2)
    assert outputs.take(slice(0, 1))["tags"].shape == (1, 1, 2)
    assert outputs.take(slice(0, 3))["tags"].shape == (3, 5, 2)
    assert drop_rows(outputs, [1])["tags"].shape == (2, 2, 2)
    assert drop_rows(outputs, [1]).sizes["sequence"].tolist() == [1, 2]


def test_parts_of_different_sizes_are_padded_with_zeros():
    parts = [{"tags": np.ones((1, 2, 2))}, {"tags": np.ones((2, 3, 2))}]
    joined = concatenate(parts, TAGS)["tags"]
    assert joined.shape == (3, 3, 2)
    assert joined[0, 2].tolist() == [0, 0]
    assert join([tags(1), tags(4)])["tags"].shape == (2, 4, 2)


def test_an_output_without_a_row_of_any_size_is_empty():
    assert with_sizes({"tags": np.ones((2, 3, 2))}, TAGS, {"sequence": [0, 0]})["tags"].shape == (2, 0, 2)


def test_outputs_without_free_axes_are_left_as_they_are():
    array = np.ones((3, 2))
    outputs = Outputs(first=array)
    assert outputs.take(slice(None))["first"].base is array
    assert outputs.row(1)["first"].tolist() == [1, 1]


def test_what_a_client_padded_is_zero_in_its_place_and_tasks_read_each_rows_own_elements_first():
    given = Outputs(tags=np.arange(1, 13).reshape(2, 3, 2))
    given.axes, given.sizes = TAGS, {"sequence": np.array([3, 3])}
    mask = np.array([[False, True, True], [True, False, True]])
    outputs = with_masks(given, {"sequence": mask})
    assert outputs["tags"].tolist() == [[[0, 0], [3, 4], [5, 6]], [[7, 8], [0, 0], [11, 12]]]
    second = outputs.take(slice(1, 2))
    assert second["tags"].shape == (1, 3, 2)
    assert second.own()["tags"].tolist() == [[[7, 8], [11, 12]]]
    assert outputs.own().row(0)["tags"].tolist() == [[3, 4], [5, 6]]
    assert outputs.own().sizes["sequence"].tolist() == [2, 2]


@pytest.mark.parametrize("size", [2, 5])
def test_an_axis_of_another_size_than_the_mask_of_its_name_stays_whole(size):
    given = Outputs(tags=np.ones((2, 3, 2)), frames=np.arange(1.0, 2 * size + 1).reshape(2, size))
    given.axes = (*TAGS, FreeAxis("frames", 1, "sequence"))
    given.sizes = {"sequence": np.array([3, 3])}
    outputs = with_masks(given, {"sequence": np.array([[True, True, False], [False, True, True]])})
    assert outputs["frames"].tolist() == given["frames"].tolist()
    assert outputs.own()["frames"].tolist() == given["frames"].tolist()
    assert outputs.take(slice(1, 2)).own().row(0)["frames"].tolist() == given["frames"][1].tolist()
    assert outputs.own()["tags"][:, :, 0].tolist() == [[1, 1], [1, 1]]


def test_outputs_without_padding_are_their_own():
    outputs = tags(2, 2)
    assert with_masks(outputs, {"sequence": np.ones((2, 2), bool)}) is outputs
    assert outputs.own() is outputs
    replaced = outputs.replace({"tags": outputs["tags"] * 2})
    assert (replaced["tags"][0, 0, 0], replaced.axes) == (14, outputs.axes)
