"""Outputs by name: joined over batches, cut to each row's own size, and compared in units of their own."""

import zipfile

import numpy as np
import pytest

from onnxserve_export.batches import Batches, write_batches
from onnxserve_export.outputs import cut, deviations, free_output_axes, join, largest_shift, scales_of, with_row_sizes
from onnxserve_handlers.offline import write_json


def test_batches_of_different_lengths_are_joined_with_zeros_at_the_ends_of_the_shorter_ones():
    joined = join([{"tags": np.ones((2, 3)), "score": np.ones(2)}, {"tags": np.ones((1, 2)), "score": np.zeros(1)}])
    np.testing.assert_array_equal(joined["tags"], [[1, 1, 1], [1, 1, 1], [1, 1, 0]])
    np.testing.assert_array_equal(joined["score"], [1, 1, 0])


def test_outputs_are_zero_beyond_each_rows_own_size_on_every_axis_of_that_name():
    whole = {"tags": np.ones((2, 3, 2)), "pairs": np.ones((2, 3, 3)), "score": np.ones(2)}
    axes = {"tags": {1: "sequence"}, "pairs": {1: "sequence", 2: "sequence"}}
    outputs = cut(whole, {"sequence": [3, 1]}, axes)
    np.testing.assert_array_equal(outputs["tags"][1], [[1, 1], [0, 0], [0, 0]])
    np.testing.assert_array_equal(outputs["pairs"][1], [[1, 0, 0], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(outputs["tags"][0], np.ones((3, 2)))
    assert outputs["score"] is whole["score"]
    assert whole["tags"].all()


def test_a_rows_own_outputs_come_first_where_its_padding_stood_before_them():
    whole = {"tags": np.array([[9, 9, 1], [2, 3, 4]]), "pairs": np.arange(18).reshape(2, 3, 3), "score": np.ones(2)}
    axes = {"tags": {1: "sequence"}, "pairs": {1: "sequence", 2: "sequence"}}
    outputs = cut(whole, {"sequence": [1, 3]}, axes, pads_left=True)
    assert outputs["tags"].tolist() == [[1, 0, 0], [2, 3, 4]]
    assert outputs["pairs"][0].tolist() == [[8, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert outputs["pairs"][1].tolist() == whole["pairs"][1].tolist()


@pytest.mark.parametrize("left", [True, False])
def test_batches_know_on_which_side_padding_stands(tmp_path, left):
    path = tmp_path / "batches.npz"
    assert not write_batches([{"ids": np.ones((1, 2))}], path).pads_left()
    with zipfile.ZipFile(path, "a") as archive:
        write_json(archive, "pads_left", left)
    assert Batches(path, 0, 1).pads_left() is left


def test_rows_that_are_not_padded_are_not_cut():
    outputs = cut({"tags": np.ones((2, 3))}, {}, {"tags": {1: "sequence"}})
    assert outputs["tags"].all()


def test_an_output_axis_that_varies_is_free_and_named_after_the_input_axis_that_it_follows():
    inputs = [{"ids": (2, 5)}, {"ids": (2, 9)}]
    outputs = [
        {"tags": (2, 5, 3), "boxes": (2, 4, 4), "pooled": (2, 8)},
        {"tags": (2, 9, 3), "boxes": (2, 6, 4), "pooled": (2, 8)},
    ]
    free, of_rows = free_output_axes(inputs, outputs, {"ids": {1: "sequence"}})
    assert free == {"tags": {1: "sequence"}, "boxes": {1: "boxes_1"}}
    assert of_rows == {"tags": {1: "sequence"}}


def test_each_output_is_compared_in_its_own_unit():
    reference = {"small": np.array([[0.0], [1e-3]]), "large": np.array([[0.0], [1e3]])}
    moved = {"small": reference["small"] + 1e-4, "large": reference["large"] + 1e-4}
    by_output = deviations(moved, reference, scales_of(reference))
    assert by_output["small"] == pytest.approx(0.2)
    assert by_output["large"] < 1e-6
    assert deviations({"small": moved["small"]}, reference, scales_of(reference))["large"] == np.inf


def test_a_shift_of_any_output_counts_and_shorter_batches_are_compared_where_both_have_values():
    together = {"tags": np.array([[1.0, 2.0], [3.0, 0.0]]), "score": np.array([1.0, 2.0])}
    alone = {"tags": np.array([[1.0, 2.0], [3.0, 0.0]]), "score": np.array([1.0, 2.0])}
    mixed = {"tags": np.array([[3.0]]), "score": np.array([2.5])}
    scales = {"tags": np.ones(1), "score": np.ones(1)}
    assert largest_shift(together, alone, mixed, [1], scales) == pytest.approx(0.5)
    mixed["score"] = np.array([2.0])
    assert largest_shift(together, alone, mixed, [1], scales) == 0


def test_no_rows_have_no_outputs_whatever_axes_are_free():
    assert dict(with_row_sizes({}, [], {"tags": {1: "sequence"}})) == {}


def test_values_have_units_of_their_own_unless_rows_have_different_numbers_of_them():
    outputs = {
        "prices": np.array([[1.0, 100.0], [3.0, 300.0]]),
        "readings": np.array([[1.0, 2.0, 0.0], [3.0, 4.0, 5.0]]),
    }
    scales = scales_of(outputs, each=True, free={"readings"})
    assert scales["prices"].tolist() == [1, 100]
    assert scales["readings"].shape == (1,)
    short = {"readings": np.array([[1.0, 2.0]])}
    assert deviations(short, short, scales) == {"readings": 0.0}
