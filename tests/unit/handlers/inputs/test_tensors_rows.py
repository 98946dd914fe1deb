"""Rows of the kind `tensors`: arrays by the graph's input names."""

from __future__ import annotations

import pytest

from onnxserve_handlers.errors import InvalidRow
from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inputs.tensors import TensorOptions, TensorsInput
from onnxserve_handlers.tasks.raw import Raw
from tests.helpers.fakes import with_fake_session

FRAMES = TensorOptions("frames", "float32", ("time", 2))
KIND = TensorOptions("kind", "int64")


class Arrays(TensorsInput, Raw, Handler):
    """Arrays to the outputs of a graph."""


def opened(*tensors: TensorOptions) -> Arrays:
    handler = with_fake_session(Arrays(), tensors=tensors, limits={"time": 3})
    handler.prepare()
    assert isinstance(handler, Arrays)
    return handler


def test_a_row_is_an_array_per_input_in_the_inputs_type():
    row = opened(FRAMES, KIND).check({"frames": [[1, 2], [3, 4]], "kind": 7}, "row")
    assert (row["frames"].dtype.name, row["frames"].tolist()) == ("float32", [[1, 2], [3, 4]])
    assert (row["kind"].dtype.name, row["kind"].shape, int(row["kind"])) == ("int64", (), 7)


def test_where_there_is_one_input_the_row_may_be_its_array():
    handler = opened(FRAMES)
    for instance in ([[1, 2]], {"frames": [[1, 2]]}, {"data": [[1, 2]]}):
        assert handler.check(instance, "row")["frames"].tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("instance", "reason"),
    [
        ([[1, 2, 3]], "shape"),
        ([[1, 2]] * 4, "axis 'time' is 4 long, at most 3"),
        ([[1, 2], [3]], "not rectangular"),
        ([["a", "b"]], "expected numbers"),
        ([[None, 1]], "expected numbers"),
        ([["x" * 100_000, *[""] * 100_000]], "expected numbers"),  # as an array of texts it would have 40 GB
        ([[1, [2]]], "not rectangular"),
        ([[2**70, 1]], "at most 64 bits"),
        ([], "shape"),
        ({"other": [[1, 2]]}, r"expected the inputs \['frames'\], got the inputs \['other'\]"),
        ([[1e39, 0]], "not finite"),
        ([[True, False]], "bool"),
    ],
)
def test_a_row_outside_the_signature_is_refused_with_the_reason(instance, reason):
    with pytest.raises(InvalidRow, match=reason):
        opened(FRAMES).check(instance, "row")


def test_rows_of_different_sizes_never_run_together():
    handler = opened(FRAMES)
    rows = [handler.check([[1, 2]] * size, "row") for size in (1, 2, 1)]
    assert handler.parts(rows) == [[0, 2], [1]]
    assert handler.tensors([rows[0], rows[2]])["frames"].shape == (2, 1, 2)
    assert handler.sizes(rows) == {"time": [1, 2, 1]}


def test_rows_without_free_axes_all_run_together():
    handler = opened(KIND)
    rows = [handler.check(number, "row") for number in range(3)]
    assert [list(part) for part in handler.parts(rows)] == [[0, 1, 2]]
    assert handler.tensors(rows)["kind"].tolist() == [0, 1, 2]


def test_drift_gets_mean_and_spread_of_each_input_and_the_sizes_of_free_axes():
    handler = opened(FRAMES, KIND)
    rows = [
        handler.check({"frames": [[1, 3]], "kind": 7}, "row"),
        handler.check({"frames": [[0, 0]], "kind": 2}, "row"),
    ]
    measures = {name: values.tolist() for name, values in handler.measures(rows).items()}
    assert measures == {
        "time.size": [1.0, 1.0],
        "frames": [2.0, 0.0],
        "frames.spread": [1.0, 0.0],
        "kind": [7.0, 2.0],
    }
    stacked = {
        name: values.tolist() for name, values in handler.measures(handler.tensor_rows(handler.tensors(rows))).items()
    }
    assert stacked == measures
