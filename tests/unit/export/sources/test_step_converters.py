"""Steps of scikit-learn become nodes that give what the steps give, in float32 and in float64."""

import numpy as np
import onnxruntime
import pytest

from onnxserve_export.sources.trees import TreeSource

pytest.importorskip("skl2onnx")
impute, linear, pipeline, preprocessing = (
    pytest.importorskip(f"sklearn.{name}") for name in ("impute", "linear_model", "pipeline", "preprocessing")
)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

DRAWS = np.random.default_rng(0)
TABLE = DRAWS.normal(size=(60, 3)).round(1)
GAPS = np.where(DRAWS.random((60, 3)) < 0.2, np.nan, TABLE)
EMPTY = np.column_stack([GAPS[:, 0], np.full(60, np.nan), GAPS[:, 2]])
ZEROS = np.concatenate([TABLE, np.zeros((1, 3))])
POSITIVE = np.abs(TABLE) + 0.1
STEPS = {
    "means": (impute.SimpleImputer(), GAPS),
    "a column without values": (impute.SimpleImputer(), EMPTY),
    "a column without values that stays": (impute.SimpleImputer(keep_empty_features=True), EMPTY),
    "marks": (impute.SimpleImputer(add_indicator=True), GAPS),
    "a number for missing": (impute.SimpleImputer(missing_values=0.5, strategy="median"), TABLE),
    "above a threshold": (preprocessing.Binarizer(threshold=0.5), TABLE),
    "l1": (preprocessing.Normalizer("l1"), ZEROS),
    "l2": (preprocessing.Normalizer("l2"), ZEROS),
    "max": (preprocessing.Normalizer("max"), ZEROS),
    "yeo-johnson": (preprocessing.PowerTransformer(), TABLE),
    "yeo-johnson, not standardised": (preprocessing.PowerTransformer(standardize=False), TABLE),
    "box-cox": (preprocessing.PowerTransformer("box-cox"), POSITIVE),
    "bins": (preprocessing.KBinsDiscretizer(5, encode="ordinal", quantile_method="averaged_inverted_cdf"), TABLE),
    "bins of equal widths": (preprocessing.KBinsDiscretizer(5, encode="ordinal", strategy="uniform"), TABLE),
    "columns of bins": (preprocessing.KBinsDiscretizer([2, 3, 4], encode="onehot-dense", strategy="uniform"), TABLE),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", STEPS)
def test_a_step_gives_what_it_gives_in_its_library(name, dtype):
    step, table = STEPS[name]
    table = table.astype(dtype)
    # Weights differ by column, so that the sum shows columns that stand in another place.
    model = pipeline.make_pipeline(step, linear.LinearRegression()).fit(table, np.arange(len(table)))
    model.steps[-1][1].coef_ = np.arange(1.0, 1 + model[:-1].transform(table).shape[1]).astype(dtype)
    model.steps[-1][1].intercept_ = np.zeros((), dtype)
    graph, _ = TreeSource(model).graph({"features": table[:3]}, {})
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(
        session.run(None, {"features": table})[0][:, 0], model.predict(table), rtol=1e-5, atol=1e-5
    )


def test_powers_leave_missing_values_missing():
    trees = pytest.importorskip("sklearn.ensemble").HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=2)
    model = pipeline.make_pipeline(preprocessing.PowerTransformer(), trees).fit(GAPS, np.isnan(GAPS[:, 0]) * 5.0)
    graph, _ = TreeSource(model).graph({"features": GAPS[:3]}, {})
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"features": GAPS})[0][:, 0], model.predict(GAPS), atol=1e-5)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_exponents_that_stand_for_logarithms_are_taken_so(exponent):
    step = preprocessing.PowerTransformer().fit(TABLE)
    step.lambdas_ = np.full(3, exponent)
    model = pipeline.make_pipeline(step, linear.LinearRegression().fit(step.transform(TABLE), TABLE[:, 0]))
    graph, _ = TreeSource(model).graph({"features": TABLE[:3]}, {})
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"features": TABLE})[0][:, 0], model.predict(TABLE), atol=1e-5)
