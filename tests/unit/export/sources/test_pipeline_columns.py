"""Which columns the branches of a ColumnTransformer read, in each way that scikit-learn takes them."""

import numpy as np
import pytest

from onnxserve_export.sources.convertible import convertible
from onnxserve_export.sources.pipeline_columns import read_names, readers_of

pd, compose = pytest.importorskip("pandas"), pytest.importorskip("sklearn.compose")
FRAME = pd.DataFrame({"age": [1.0, 2.0], "size": [1.0, 2.0], "town": [1.0, 2.0]})


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (["size", "town"], ["size", "town"]),
        (pd.Index(["size", "town"]), ["size", "town"]),
        ([1, -1], ["size", "town"]),
        (np.array([1, 2]), ["size", "town"]),
        ([False, True, True], ["size", "town"]),
        (np.array([False, True, True]), ["size", "town"]),
        (slice(1, None), ["size", "town"]),
        (slice("age", "size"), ["age", "size"]),
        (compose.make_column_selector("size|town"), ["size", "town"]),
        ([], []),
    ],
)
def test_a_branch_reads_its_columns_however_they_are_given(columns, names):
    model = compose.ColumnTransformer([("kept", "passthrough", columns)]).fit(FRAME)
    assert next(readers_of(model))[0] == names


def test_columns_that_no_branch_reads_are_none_of_the_models():
    branches = [("kept", "passthrough", ["town"]), ("none", "drop", ["age"])]
    model = compose.ColumnTransformer(branches).fit(FRAME)
    assert list(readers_of(model)) == [(["town"], [model.transformers_[0][1]])]
    assert read_names(model) == ["town"]
    array = compose.ColumnTransformer([("kept", "passthrough", [2])]).fit(FRAME.to_numpy())
    assert read_names(array) == ["x0", "x1", "x2"]  # an array has all of its columns


@pytest.mark.parametrize("columns", [[1, 2], [False, True, True], slice("size", "town"), ["size", "town"]])
def test_the_converter_gets_columns_by_name(columns):
    model = compose.ColumnTransformer([("kept", "passthrough", columns)]).fit(FRAME)
    assert convertible(model).transformers_[0][2] == ["size", "town"]
    array = compose.ColumnTransformer([("kept", "passthrough", [False, True, True])]).fit(FRAME.to_numpy())
    assert convertible(array).transformers_[0][2] == [1, 2]
