"""Which columns the branches of a ColumnTransformer read, in each way that scikit-learn takes them."""

import numpy as np
import pytest

from onnxserve_export.sources.pipeline_columns import readers_of

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
