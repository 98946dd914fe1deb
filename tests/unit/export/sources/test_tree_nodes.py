"""Thresholds in float32 that send every float32 number the way that the threshold in float64 does."""

import importlib

import numpy as np
import onnxruntime
import pytest

from onnxserve_export.sources.tree_nodes import raise_thresholds, round_down
from onnxserve_export.sources.trees import TreeSource


def test_a_threshold_is_rounded_down_so_that_no_float32_number_changes_sides():
    exact = np.concatenate([np.random.default_rng(0).normal(size=1000), [0.0, -0.1, 0.1, 2.0**24 + 1, -1e-40]])
    down = round_down(exact)
    assert (down <= exact).all()
    assert (down.astype(np.float32) == down).all()
    nearest = exact.astype(np.float32)
    for numbers in (nearest, np.nextafter(nearest, np.float32(-np.inf)), np.nextafter(nearest, np.float32(np.inf))):
        np.testing.assert_array_equal(numbers <= down.astype(np.float32), numbers.astype(np.float64) <= exact)
    assert (nearest.astype(np.float64) > exact).any()  # rounding to the nearest would move some


DRAWS = np.random.default_rng(0)
TABLE = DRAWS.normal(size=(300, 3)).round(1)
GAPS = np.where(DRAWS.random(TABLE.shape) < 0.2, np.nan, TABLE)
CLASSES = np.digitize(TABLE[:, 0] + np.isnan(GAPS[:, 1]), [0.0, 1.0])
PIPELINES = {"alone": [], "scaled": ["StandardScaler"]}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("seen", [GAPS, TABLE], ids=["seen", "never seen"])
@pytest.mark.parametrize("steps", PIPELINES)
@pytest.mark.parametrize(
    ("module", "name", "options"),
    [
        ("tree", "DecisionTreeClassifier", {}),
        ("tree", "DecisionTreeRegressor", {}),
        ("ensemble", "RandomForestClassifier", {"n_estimators": 4}),
        ("ensemble", "RandomForestRegressor", {"n_estimators": 4}),
        ("ensemble", "ExtraTreesClassifier", {"n_estimators": 4}),
        ("ensemble", "HistGradientBoostingClassifier", {"max_iter": 4}),
    ],
)
def test_missing_values_go_the_way_that_trees_send_them_and_ties_too(module, name, options, steps, seen):
    pytest.importorskip("skl2onnx")
    preprocessing, pipeline = (importlib.import_module(f"sklearn.{part}") for part in ("preprocessing", "pipeline"))
    before = [getattr(preprocessing, step)() for step in PIPELINES[steps]]
    own = getattr(importlib.import_module(f"sklearn.{module}"), name)(random_state=0, **options)
    model = TreeSource(pipeline.make_pipeline(*before, own).fit(seen, CLASSES))
    # Midpoints between numbers of one decimal are what the trees compare with.
    ties = np.arange(-30, 30)[:, None] / 20 * np.ones(3)
    for dtype in ("float64",) if before else ("float32", "float64"):
        rows = {"features": np.concatenate([GAPS, TABLE, ties]).astype(dtype)}
        [(output, expected)] = model.run(rows).items()
        proto, _ = model.graph({"features": rows["features"][:3]}, {})
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        np.testing.assert_allclose(session.run([output], rows)[0], expected, atol=1e-5)


def test_raised_thresholds_pass_no_other_number_than_those_beside_them_and_never_zero():
    thresholds, columns = np.array([1.0, 1e-9, -1e-35, 1e6, -1.0, np.inf]), np.array([0, 0, 0, 1, 0, 2])
    raised = raise_thresholds(thresholds, columns)
    assert (raised > thresholds)[:5].all()
    assert raised[2] < 0
    assert raised[5] == np.inf
    np.testing.assert_allclose(raised[[0, 1, 4]] - thresholds[[0, 1, 4]], 2.0**-40, rtol=1e-3)
    np.testing.assert_allclose(raised[3] - 1e6, 1e6 * 2.0**-40, rtol=1e-3)
