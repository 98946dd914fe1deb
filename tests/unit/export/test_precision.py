"""Fitted models that compare in float64 are served in float64, where float32 would change answers."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from onnxserve.definition import Definition
from onnxserve.errors import DefinitionError
from onnxserve_export.precision import choose_dtype, count_changed, tensors_of
from onnxserve_export.run import run_graph
from onnxserve_export.sources import trees
from onnxserve_export.sources.tree_graphs import convert
from onnxserve_export.sources.trees import TreeSource
from onnxserve_export.subset import Row
from onnxserve_export.threshold_rows import float32_graph, rows_beside_thresholds
from onnxserve_handlers.inputs.table import TableOptions
from onnxserve_handlers.inputs.table_columns import Column

pytest.importorskip("skl2onnx")
sklearn_ensemble = pytest.importorskip("sklearn.ensemble")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

OPTIONS = {"n_estimators": 5, "verbose": -1, "n_jobs": 1}  # more threads wait for each other beside other tests
DRAWS = np.random.default_rng(0)
TABLE = DRAWS.normal(size=(400, 3)).round(1)
VALUES = TABLE[:, 0] * 2 + (TABLE[:, 1] > 0.35)
CLASSES = np.digitize(VALUES, [-1, 1])
# Seconds since 1970: float32 holds every 128th only.
STAMPS = np.column_stack([1_700_000_000 + DRAWS.integers(0, 1000, 400), TABLE[:, 1]]).astype(np.float64)


def fitted(name: str):
    if name == "lightgbm":
        return pytest.importorskip("lightgbm").LGBMClassifier(**OPTIONS).fit(TABLE, CLASSES)
    if name == "lightgbm values":
        return pytest.importorskip("lightgbm").LGBMRegressor(**OPTIONS).fit(TABLE, VALUES)
    if name == "histograms":
        return sklearn_ensemble.HistGradientBoostingRegressor(max_iter=5).fit(TABLE, VALUES)
    if name == "histograms of classes":
        return sklearn_ensemble.HistGradientBoostingClassifier(max_iter=5).fit(TABLE, CLASSES)
    return sklearn_ensemble.RandomForestRegressor(n_estimators=5).fit(TABLE, VALUES)


def beside_thresholds(model: TreeSource) -> dict[str, np.ndarray]:
    exact = {"features": TABLE}
    return rows_beside_thresholds(float32_graph(model, exact), exact)


@pytest.mark.parametrize("name", ["lightgbm", "lightgbm values", "histograms", "histograms of classes"])
def test_rows_beside_thresholds_change_in_float32_and_not_in_the_graph_in_float64(name, tmp_path):
    model = TreeSource(fitted(name))
    beside = beside_thresholds(model)
    assert 0 < count_changed(model, beside) <= len(beside["features"])
    rows = {"features": np.concatenate([TABLE, beside["features"]])}
    proto, _ = model.graph({"features": rows["features"][:3]}, {})
    (tmp_path / "graph.onnx").write_bytes(proto.SerializeToString())
    [outputs] = run_graph(tmp_path / "graph.onnx", [rows])
    [expected] = model.run(rows).values()
    [answers] = outputs.values()
    np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_a_forest_rounds_to_float32_itself_and_changes_nothing():
    model = TreeSource(fitted("forest"))
    assert len(beside_thresholds(model)["features"])
    assert count_changed(model, beside_thresholds(model)) == 0


def test_times_that_float32_can_not_tell_apart_change_rows_themselves():
    model = TreeSource(sklearn_ensemble.HistGradientBoostingRegressor(max_iter=5).fit(STAMPS, STAMPS[:, 0] % 1000))
    assert count_changed(model, {"features": STAMPS}) > 0


def state_of(rows: np.ndarray, model: object, **fields: str) -> Any:
    """The part of an export's state that the choice needs; `lines` are what it says."""
    options = TableOptions(columns=tuple(f"c{place}" for place in range(rows.shape[1])), **fields)  # type: ignore[arg-type]
    subsets = {"fit": [Row(row, None) for row in rows.tolist()]}
    definition = Definition("m", "1", "model.py:load", input=options)
    lines: list[str] = []
    return SimpleNamespace(
        definition=definition,
        source_place="model.py:load",
        model=TreeSource(model),
        split=SimpleNamespace(subsets=subsets),
        say=lines.append,
        lines=lines,
    )


def test_the_definition_gets_float64_where_float32_would_change_answers_and_only_there():
    changing, exact = state_of(TABLE, fitted("histograms")), state_of(TABLE, fitted("forest"))
    for state in (changing, exact):
        choose_dtype(state)
    assert changing.definition.input.dtype == "float64"
    assert "rows beside thresholds" in changing.lines[0]
    assert (exact.definition.input.dtype, exact.lines) == ("auto", [])


def test_float32_is_refused_where_it_changes_the_definitions_own_rows():
    model = sklearn_ensemble.HistGradientBoostingRegressor(max_iter=5).fit(STAMPS, STAMPS[:, 0] % 1000)
    with pytest.raises(DefinitionError, match=r"in float32, \d+ of 400 rows get another answer") as refused:
        choose_dtype(state_of(STAMPS, model, dtype="float32"))
    assert refused.value.where == "input.dtype"
    accepted = state_of(TABLE, fitted("histograms"), dtype="float32")
    choose_dtype(accepted)
    assert accepted.definition.input.dtype == "float32"


def only_float32(model: object, library: str, tensors: dict[str, np.ndarray]) -> object:
    if next(iter(tensors.values())).dtype == np.float64:
        raise NotImplementedError("no doubles")
    return convert(model, library, tensors)


def test_what_has_no_graph_in_float64_is_refused_by_name_unless_float32_is_asked_for(monkeypatch):
    monkeypatch.setattr(trees, "convert", only_float32)
    with pytest.raises(
        DefinitionError, match=r"HistGradientBoostingRegressor can't be served in float64.*no doubles"
    ) as e:
        choose_dtype(state_of(TABLE, fitted("histograms")))
    assert 'dtype = "float32"' in e.value.fix
    choose_dtype(state_of(TABLE, fitted("histograms"), dtype="float32"))


def test_rows_that_the_handler_refuses_are_left_out():
    options = TableOptions(columns=("a", "b"), dtype="float64")
    assert tensors_of(options, [[1, 2], ["x", 2], [0.1, 3]])["features"].tolist() == [[1, 2], [0.1, 3]]


def of_columns(table: np.ndarray, target: np.ndarray, trees: Any, **fields: Any) -> Any:
    """The state of an export whose pipeline reads a data frame."""
    pd, compose, pipeline = (pytest.importorskip(name) for name in ("pandas", "sklearn.compose", "sklearn.pipeline"))
    kept = compose.ColumnTransformer([("kept", "passthrough", ["c0", "c1"])])
    state = state_of(table, pipeline.make_pipeline(kept, trees).fit(pd.DataFrame(table, columns=["c0", "c1"]), target))
    options = TableOptions(columns=tuple(Column(name, **fields) for name in ("c0", "c1")), tensors="columns")
    state.definition = Definition("m", "1", "model.py:load", input=options)
    return state


def test_columns_of_a_frame_are_served_in_float64_where_rounding_changes_answers():
    trees = sklearn_ensemble.HistGradientBoostingRegressor(max_iter=5)
    state = of_columns(STAMPS, STAMPS[:, 0] % 1000, trees)
    choose_dtype(state)
    assert [column.dtype for column in state.definition.input.columns] == ["float64", "float64"]
    with pytest.raises(DefinitionError, match=r"in float32, \d+ of 400 rows get another answer") as no:
        choose_dtype(of_columns(STAMPS, STAMPS[:, 0] % 1000, trees, dtype="float32"))
    assert (no.value.where, "leave it out" in no.value.fix) == ("input.columns", True)


def test_columns_of_a_frame_are_served_in_float64_where_only_rows_beside_thresholds_change():
    state = of_columns(TABLE[:, :2], VALUES, sklearn_ensemble.HistGradientBoostingRegressor(max_iter=5))
    choose_dtype(state)
    assert [column.dtype for column in state.definition.input.columns] == ["float64", "float64"]
    forest = of_columns(TABLE[:, :2], VALUES, sklearn_ensemble.RandomForestRegressor(n_estimators=5))
    choose_dtype(forest)
    assert ([column.dtype for column in forest.definition.input.columns], forest.lines) == ([None, None], [])


def test_whole_numbers_of_a_frame_are_served_in_float64_before_a_scaler_and_not_before_an_encoder():
    pd, compose, pipeline = (pytest.importorskip(name) for name in ("pandas", "sklearn.compose", "sklearn.pipeline"))
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    branches = [("n", preprocessing.StandardScaler(), ["c0"]), ("c", preprocessing.OneHotEncoder(), ["c1"])]
    frame = pd.DataFrame(DRAWS.integers(0, 9, (400, 2)), columns=["c0", "c1"])
    model = pipeline.make_pipeline(compose.ColumnTransformer(branches), sklearn_ensemble.RandomForestRegressor(5))
    state = state_of(frame.to_numpy(), model.fit(frame, frame["c0"] + (frame["c1"] > 3)))
    options = TableOptions(columns=(Column("c0", type="integer"), Column("c1", type="integer")), tensors="columns")
    state.definition = Definition("m", "1", "model.py:load", input=options)
    choose_dtype(state)
    assert [column.own_dtype for column in state.definition.input.columns] == ["float64", "int64"]


@pytest.mark.parametrize("name", ["lightgbm", "histograms", "forest"])
def test_trees_behind_a_scaler_are_served_in_float64_since_no_rows_tell_which_numbers_change_sides(name):
    sklearn_pipeline, preprocessing = (pytest.importorskip(f"sklearn.{part}") for part in ("pipeline", "preprocessing"))
    model = sklearn_pipeline.make_pipeline(preprocessing.StandardScaler(), fitted(name))
    state = state_of(TABLE[:60], model.fit(TABLE, CLASSES if name == "lightgbm" else VALUES))
    choose_dtype(state)
    assert state.definition.input.dtype == "float64"
    assert (
        "float64: trees or bins stand behind steps that compute" in state.lines[0]
        or "rows get another" in state.lines[0]
    )


def test_a_model_is_converted_once_for_each_type_of_its_numbers(monkeypatch):
    sklearn_pipeline, preprocessing = (pytest.importorskip(f"sklearn.{part}") for part in ("pipeline", "preprocessing"))
    conversions = []

    def counted(model: object, library: str, tensors: dict[str, np.ndarray]) -> object:
        conversions.append(tensors["features"].dtype.name)
        return convert(model, library, tensors)

    monkeypatch.setattr(trees, "convert", counted)
    model = sklearn_pipeline.make_pipeline(preprocessing.StandardScaler(), fitted("forest"))
    state = state_of(TABLE[:60], model.fit(TABLE, VALUES))
    choose_dtype(state)
    graphs = [state.model.graph({"features": TABLE[:rows]}, {})[0] for rows in (3, 2)]
    assert conversions == ["float32", "float64"]
    assert graphs[0] == graphs[1]


def test_trees_behind_a_scaler_without_a_graph_in_float64_stay_in_float32_while_no_row_shows_a_change(monkeypatch):
    sklearn_pipeline, preprocessing = (pytest.importorskip(f"sklearn.{part}") for part in ("pipeline", "preprocessing"))
    monkeypatch.setattr(trees, "convert", only_float32)
    model = sklearn_pipeline.make_pipeline(preprocessing.StandardScaler(), fitted("forest"))
    state = state_of(TABLE[:60], model.fit(TABLE, VALUES))
    choose_dtype(state)
    assert state.definition.input.dtype == "auto"
    assert "numbers stay in float32" in state.lines[0]
    assert "no doubles" in state.lines[0]


def test_a_graph_in_float64_that_changes_more_answers_than_the_budget_allows_is_refused_by_count(monkeypatch):
    sklearn_pipeline, preprocessing = (pytest.importorskip(f"sklearn.{part}") for part in ("pipeline", "preprocessing"))
    model = sklearn_pipeline.make_pipeline(preprocessing.StandardScaler(), fitted("forest")).fit(TABLE, VALUES)
    other = TreeSource(
        sklearn_pipeline.make_pipeline(preprocessing.MinMaxScaler(), fitted("forest")).fit(TABLE, VALUES)
    )
    state = state_of(TABLE[:60], model)
    monkeypatch.setattr(state.model, "graph", other.graph)
    with pytest.raises(DefinitionError, match=r"can't be served in float64: \d+ of 60 rows get another answer") as no:
        choose_dtype(state)
    assert 'dtype = "float32"' in no.value.fix
