"""Trees behind steps that compute answer in a graph of float64 as their library does, row by row."""

import numpy as np
import onnxruntime
import pytest

from onnxserve_export.precision import answers_differ
from onnxserve_export.sources.trees import TreeSource

pytest.importorskip("skl2onnx")
pd, compose, decomposition, ensemble, impute, pipeline, preprocessing, linear = (
    pytest.importorskip(name)
    for name in (
        "pandas",
        "sklearn.compose",
        "sklearn.decomposition",
        "sklearn.ensemble",
        "sklearn.impute",
        "sklearn.pipeline",
        "sklearn.preprocessing",
        "sklearn.linear_model",
    )
)
lightgbm, xgboost = pytest.importorskip("lightgbm"), pytest.importorskip("xgboost")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

ROWS = 400
TREES = {
    "forest": lambda: ensemble.RandomForestRegressor(10, random_state=0),
    "histograms": lambda: ensemble.HistGradientBoostingRegressor(max_iter=10),
    "gradient": lambda: ensemble.GradientBoostingRegressor(n_estimators=10),
    "xgboost": lambda: xgboost.XGBRegressor(n_estimators=10, n_jobs=1),
    "lightgbm": lambda: lightgbm.LGBMRegressor(n_estimators=10, n_jobs=1, verbose=-1),
    "adaboost of classes": lambda: ensemble.AdaBoostClassifier(n_estimators=10, random_state=0),
    "adaboost": lambda: ensemble.AdaBoostRegressor(n_estimators=10, random_state=0),
    "isolation": lambda: ensemble.IsolationForest(n_estimators=10, random_state=0),
    "bagging": lambda: ensemble.BaggingRegressor(n_estimators=5, random_state=0),
}
STEPS = {
    "scaler": preprocessing.StandardScaler,
    "range": preprocessing.MinMaxScaler,
    "robust": preprocessing.RobustScaler,
    "power": preprocessing.PowerTransformer,
    "quantiles": lambda: preprocessing.QuantileTransformer(n_quantiles=50),
    "bins": lambda: preprocessing.KBinsDiscretizer(n_bins=7, encode="ordinal"),
    "polynomials": lambda: preprocessing.PolynomialFeatures(2),
    "components": lambda: decomposition.PCA(2),
    "norm": preprocessing.Normalizer,
}


def data(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A table of rounded numbers, values and classes; numbers of tables are rounded, and so lie on thresholds."""
    draws = np.random.default_rng(seed)
    table = np.column_stack(
        [draws.normal(size=ROWS).round(1), draws.integers(0, 40, ROWS) / 10, draws.lognormal(size=ROWS).round(2)]
    )
    values = table[:, 0] * 2 + (table[:, 1] > 1.35) + np.sin(table[:, 2]) + draws.normal(size=ROWS) * 0.3
    return table, values, np.digitize(values, [0, 2])


def count_changed(model: object, exact: dict[str, np.ndarray], dtype: type = np.float64) -> int:
    """How many rows the graph answers otherwise than the model in float64, if it gets numbers of `dtype`."""
    source = TreeSource(model)
    rows = {name: array.astype(dtype) if array.dtype == np.float64 else array for name, array in exact.items()}
    proto, _ = source.graph({name: array[:3] for name, array in rows.items()}, {})
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {name: array.astype(object) if array.dtype.kind == "U" else array for name, array in rows.items()}
    [expected] = source.run(exact).values()
    return int(answers_differ(expected, session.run(None, feeds)[0].reshape(expected.shape)).sum())


@pytest.mark.parametrize("trees", TREES)
def test_trees_behind_a_scaler_answer_every_row_as_their_library_does(trees):
    for seed in range(2):
        table, values, classes = data(seed)
        model = pipeline.make_pipeline(preprocessing.StandardScaler(), TREES[trees]())
        model.fit(table, classes if "classes" in trees else values)
        assert count_changed(model, {"features": table}) == 0


@pytest.mark.parametrize("step", STEPS)
def test_trees_behind_other_steps_answer_every_row_as_their_library_does(step):
    table, values, _ = data(2)
    for trees in ("histograms", "xgboost"):
        model = pipeline.make_pipeline(STEPS[step](), TREES[trees]()).fit(table, values)
        assert count_changed(model, {"features": table}) == 0


def test_a_graph_of_float32_changes_answers_of_many_rows():
    table, values, _ = data(0)
    model = pipeline.make_pipeline(preprocessing.StandardScaler(), TREES["xgboost"]()).fit(table, values)
    assert count_changed(model, {"features": table}, np.float32) > ROWS / 10


@pytest.mark.parametrize("trees", TREES)
def test_trees_behind_columns_of_a_frame_answer_every_row_as_their_library_does(trees):
    table, values, classes = data(3)
    draws = np.random.default_rng(3)
    table[draws.random(ROWS) < 0.1, 1] = np.nan
    town = draws.choice(["Bern", "Rom", "Ulm"], ROWS)
    numbers = pipeline.make_pipeline(impute.SimpleImputer(strategy="mean"), preprocessing.StandardScaler())
    branches = [
        ("numbers", numbers, ["a", "b"]),
        ("ranges", preprocessing.MinMaxScaler(), ["c"]),
        ("town", preprocessing.OneHotEncoder(), ["town"]),
        ("order", preprocessing.OrdinalEncoder(), ["town"]),
    ]
    frame = pd.DataFrame(table, columns=["a", "b", "c"]).assign(town=town)
    model = pipeline.make_pipeline(compose.ColumnTransformer(branches), TREES[trees]())
    model.fit(frame, classes if "classes" in trees else values)
    exact = {name: table[:, [place]] for place, name in enumerate("abc")} | {"town": town[:, None]}
    assert count_changed(model, exact) == 0


def test_imputed_numbers_are_as_exact_as_the_librarys():
    draws = np.random.default_rng(0)
    table = draws.normal(size=(ROWS, 2)).round(1)
    table[::3, 0] = np.nan  # the mean of others is a value of the fit, on which histogram-based trees split
    values = np.where(np.isnan(table[:, 0]), 5, table[:, 0])
    imputed = pipeline.make_pipeline(impute.SimpleImputer(), TREES["histograms"]()).fit(table, values)
    assert count_changed(imputed, {"features": table}) == 0


def test_bins_behind_a_scaler_are_the_librarys():
    table, _, classes = data(1)
    steps = (preprocessing.StandardScaler(), preprocessing.KBinsDiscretizer(5), linear.LogisticRegression())
    assert count_changed(pipeline.make_pipeline(*steps).fit(table, classes), {"features": table}) == 0
