"""Fitted models: their graphs answer as they do, also for rows that lie next to a threshold."""

import importlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.importing.fitted import columns_of
from onnxserve_export.run import run_graph
from onnxserve_export.sources import open_source
from onnxserve_export.sources.opening import open_object
from onnxserve_export.sources.trees import TreeSource

pytest.importorskip("skl2onnx")
sklearn_ensemble = pytest.importorskip("sklearn.ensemble")
sklearn_linear = pytest.importorskip("sklearn.linear_model")

DRAWS = np.random.default_rng(0)
# Two decimals make thresholds that lie between numbers of three, which rows then hit.
TABLE = DRAWS.normal(size=(300, 4)).round(2)
CLASSES = np.digitize(TABLE[:, 0] + TABLE[:, 1] ** 2, [0.2, 1.0])
VALUES = TABLE[:, 0] * 2 + TABLE[:, 1]
ROWS = {"features": np.concatenate([TABLE, DRAWS.normal(size=(2000, 4)).round(3)]).astype(np.float32)}

MODELS = {
    "forest": ("sklearn.ensemble", "RandomForestClassifier", {"n_estimators": 5}),
    "boosting": ("sklearn.ensemble", "GradientBoostingRegressor", {"n_estimators": 5}),
    "histograms": ("sklearn.ensemble", "HistGradientBoostingClassifier", {"max_iter": 5}),
    "logistic": ("sklearn.linear_model", "LogisticRegression", {}),
    "lightgbm classes": ("lightgbm", "LGBMClassifier", {"n_estimators": 5, "verbose": -1, "n_jobs": 1}),
    "lightgbm values": ("lightgbm", "LGBMRegressor", {"n_estimators": 5, "verbose": -1, "n_jobs": 1}),
    "xgboost classes": ("xgboost", "XGBClassifier", {"n_estimators": 5}),
    "xgboost values": ("xgboost", "XGBRegressor", {"n_estimators": 5}),
}


WARNS = """
import pickle, sys
import numpy as np
from onnxserve_export.sources.trees import TreeSource
TreeSource(pickle.load(sys.stdin.buffer)).answer({"features": np.zeros((2, 4), np.float32)})
"""


def fitted(module: str, name: str, options: dict[str, int]) -> object:
    cls = getattr(pytest.importorskip(module), name)
    return cls(**options).fit(TABLE, VALUES if "Regressor" in name else CLASSES)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_graph_answers_as_its_model_does_for_every_row_at_a_threshold_too(kind, tmp_path):
    model = open_object(fitted(*MODELS[kind]), kind)
    [(name, expected)] = model.run(ROWS).items()
    assert (name, expected.shape) == (
        ("values", (2300, 1)) if "values" in kind or kind == "boosting" else ("scores", (2300, 3))
    )
    proto, ranges = model.graph({"features": ROWS["features"][:3]}, {})
    (tmp_path / "graph.onnx").write_bytes(proto.SerializeToString())
    [outputs] = run_graph(tmp_path / "graph.onnx", [ROWS])
    assert list(outputs) == [name]
    np.testing.assert_allclose(outputs[name], expected, atol=1e-5)
    assert [(axis.lower, axis.upper) for axis in ranges] == [(0, None), (4, 4)]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
def test_boosters_in_their_own_files_give_both_scores_of_two_classes(tmp_path):
    lightgbm = pytest.importorskip("lightgbm")
    two = (CLASSES > 0).astype(int)
    lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(TABLE, two).booster_.save_model(tmp_path / "trees.txt")
    model = open_source("trees.txt", tmp_path, {})
    assert (model.name, model.summary) == ("lightgbm", "lightgbm Booster")
    scores = model.run(ROWS)["scores"]
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    (tmp_path / "graph.onnx").write_bytes(model.graph(ROWS, {})[0].SerializeToString())
    [outputs] = run_graph(tmp_path / "graph.onnx", [ROWS])
    np.testing.assert_allclose(outputs["scores"], scores, atol=1e-5)


@pytest.mark.parametrize("form", ["classes", "file"])
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
def test_trees_of_xgboost_that_were_fitted_to_a_data_frame_answer_in_a_graph_as_they_do(form, tmp_path):
    pd, xgboost = pytest.importorskip("pandas"), pytest.importorskip("xgboost")
    frame = pd.DataFrame(TABLE, columns=["amount", "visits", "size", "age"])
    frame["size"] = frame["size"] > 0
    source = xgboost.XGBClassifier(n_estimators=5).fit(frame, CLASSES)
    source.save_model(tmp_path / "trees.ubj")
    model = TreeSource(source) if form == "classes" else open_source("trees.ubj", tmp_path, {})
    assert isinstance(model, TreeSource)
    rows = {"features": frame.astype(np.float32).to_numpy()}
    [(name, scores)] = model.run(rows).items()
    np.testing.assert_allclose(scores, source.predict_proba(frame), atol=1e-6)
    (tmp_path / "graph.onnx").write_bytes(model.graph(rows, {})[0].SerializeToString())
    [outputs] = run_graph(tmp_path / "graph.onnx", [rows])
    np.testing.assert_allclose(outputs[name], scores, atol=1e-5)
    assert isinstance(model, TreeSource)
    assert columns_of(model.model)[0] == [*frame.columns]


def test_a_model_of_a_data_frame_answers_arrays_without_a_warning_for_each():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(TABLE, columns=["amount", "visits", "size", "age"])
    model = TreeSource(sklearn_ensemble.RandomForestRegressor(n_estimators=2, max_depth=2).fit(frame, VALUES))
    finished = subprocess.run(
        [sys.executable, "-c", WARNS], input=pickle.dumps(model.model), capture_output=True, check=True
    )
    assert finished.stderr == b""


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_pipeline_of_a_data_frame_takes_a_tensor_a_column_texts_among_them(tmp_path):
    pd = pytest.importorskip("pandas")
    compose, pipeline, preprocessing = (
        importlib.import_module(f"sklearn.{name}") for name in ("compose", "pipeline", "preprocessing")
    )
    towns = DRAWS.choice(["Bern", "Chur", "Genf"], len(TABLE))
    encoder = compose.ColumnTransformer(
        [("town", preprocessing.OneHotEncoder(handle_unknown="ignore"), ["town"]), ("rest", "passthrough", ["amount"])]
    )
    frame = pd.DataFrame({"town": towns, "amount": TABLE[:, 0]})
    fitted = pipeline.make_pipeline(encoder, sklearn_linear.LogisticRegression()).fit(frame, towns == "Bern")
    model = TreeSource(fitted)
    rows = {
        "town": np.array([["Bern"], ["Chur"], ["elsewhere"]]),
        "amount": np.array([[1.0], [2.0], [3.0]], np.float32),
    }
    proto, ranges = model.graph(rows, {})
    (tmp_path / "graph.onnx").write_bytes(proto.SerializeToString())
    [outputs] = run_graph(tmp_path / "graph.onnx", [rows])
    np.testing.assert_allclose(outputs["scores"], model.run(rows)["scores"], atol=1e-5)
    assert {axis_range.input for axis_range in ranges} == {"town", "amount"}


def test_a_handler_that_gives_no_table_is_told():
    model = TreeSource(fitted(*MODELS["logistic"]))
    with pytest.raises(DefinitionError, match=r"one tensor \(rows, columns\), the handler gives image \(1, 3, 2, 2\)"):
        model.run({"image": np.zeros((1, 3, 2, 2), np.float32)})


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("form", ["steps", "pipelines of columns", "steps of columns"])
def test_a_step_that_fills_in_texts_is_no_part_of_the_graph(form, tmp_path):
    pd = pytest.importorskip("pandas")
    compose, impute, pipeline, preprocessing = (
        importlib.import_module(f"sklearn.{name}") for name in ("compose", "impute", "pipeline", "preprocessing")
    )
    towns = DRAWS.choice(np.array(["Bern", "Chur", np.nan], object), len(TABLE))
    imputer = impute.SimpleImputer(strategy="most_frequent")
    encoder = preprocessing.OneHotEncoder(handle_unknown="ignore")
    steps = [imputer, encoder, sklearn_linear.LogisticRegression()]
    if form == "steps of columns":
        steps[0] = compose.ColumnTransformer([("both", imputer, ["town", "home"])])
    if form == "pipelines of columns":
        branch = pipeline.make_pipeline(imputer, encoder)
        branches = [("town", branch, ["town"]), ("home", pipeline.make_pipeline(imputer, encoder), ["home"])]
        steps = [compose.ColumnTransformer(branches), steps[-1]]
    frame = pd.DataFrame({"town": towns} if form == "steps" else {"town": towns, "home": towns[::-1]})
    fitted = pipeline.make_pipeline(*steps).fit(frame, TABLE[:, 0] > 0)
    rows = {name: np.array([["Bern"], ["Chur"], ["elsewhere"]]) for name in frame}
    model = TreeSource(fitted)
    proto, _ = model.graph(rows, {})
    (tmp_path / "graph.onnx").write_bytes(proto.SerializeToString())
    [outputs] = run_graph(tmp_path / "graph.onnx", [rows])
    np.testing.assert_allclose(outputs["scores"], model.run(rows)["scores"], atol=1e-6)
    assert len(fitted.steps) == len(steps)
