"""Columns that may be empty: as trees have learnt it, and as rows are."""

import json

import numpy as np
import pytest

from onnxserve_export.importing.fitted import read_fitted
from onnxserve_export.importing.fitted_cells import EMPTY, cells_of
from onnxserve_export.importing.fitted_gaps import learnt_gaps, read_gaps
from onnxserve_export.importing.outline import Fact, Outline
from onnxserve_export.sources.trees import TreeSource

NAMES = ["age", "income", "size"]
TABLE = np.random.default_rng(0).normal(size=(400, 3))
GAPS = np.where(np.random.default_rng(1).random(TABLE.shape) < [0.3, 0, 0], np.nan, TABLE)
TARGET = np.nan_to_num(GAPS, nan=3).sum(axis=1)


def booster(table):
    lightgbm = pytest.importorskip("lightgbm")
    data = lightgbm.Dataset(table, TARGET, feature_name=NAMES)
    return TreeSource(lightgbm.train({"objective": "regression", "verbose": -1}, data, num_boost_round=5))


def empty_columns(rows, inputs=NAMES):
    return {name for name, kinds in cells_of(rows, inputs, NAMES).items() if EMPTY in kinds}


def columns(source, rows=None, **answers):
    outline = Outline("model", {field: Fact(value, "--set") for field, value in answers.items()})
    read_fitted(outline, source)
    read_gaps(outline, source, rows)
    return outline.get("input.columns")


def test_lightgbm_tells_the_columns_of_which_it_has_learnt_gaps():
    assert learnt_gaps(booster(GAPS)) == {0}
    assert learnt_gaps(booster(TABLE)) == set()
    assert columns(booster(GAPS)) == [{"name": "age", "nullable": True}, "income", "size"]


def write(path, rows):
    if path.suffix == ".parquet":
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.Table.from_pylist([dict(zip([*NAMES, "label"], row, strict=True)) for row in rows]), path)
    elif path.suffix == ".csv":
        lines = [",".join("" if value is None else str(value) for value in row) for row in rows]
        path.write_text("\n".join([",".join([*NAMES, "label"]), *lines]) + "\n")
    else:
        path.write_text("".join(json.dumps({"input": row[:3], "label": row[3]}) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.jsonl"])
def test_rows_tell_the_columns_that_they_leave_empty(tmp_path, name):
    rows = write(tmp_path / name, [[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, None, None]])
    assert empty_columns(rows) == {"size"}
    assert columns(booster(GAPS), rows) == [
        {"name": "age", "nullable": True},
        "income",
        {"name": "size", "nullable": True},
    ]


def test_rows_that_are_no_rows_have_no_gaps(tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        '{"input": 5}\n{"input": "age"}\n{"input": null}\n{"input": [1, null, 3]}\n{"input": {"size": ""}}\n'
    )
    assert empty_columns(rows) == {"income", "size"}


def test_a_file_without_any_of_the_models_columns_has_no_gaps(tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\ngood,1\n")
    assert cells_of(rows, NAMES, NAMES) == {}


def test_columns_of_other_names_in_the_file_are_the_models_by_their_order(tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("a,i,s\n1,,2\n")
    assert empty_columns(rows, ["a", "i", "s"]) == {"income"}


def test_a_model_that_refuses_gaps_gets_no_nullable_column(tmp_path):
    linear = pytest.importorskip("sklearn.linear_model")
    rows = tmp_path / "rows.csv"
    rows.write_text("x0,x1,x2\n1,,2\n")
    assert columns(TreeSource(linear.LinearRegression().fit(TABLE, TARGET)), rows) == ["x0", "x1", "x2"]


def test_trees_of_scikit_learn_that_take_gaps_have_nullable_columns_where_rows_have_them(tmp_path):
    ensemble = pytest.importorskip("sklearn.ensemble")
    rows = tmp_path / "rows.csv"
    rows.write_text("x0,x1,x2\n1,,2\n")
    model = TreeSource(ensemble.HistGradientBoostingRegressor(max_iter=3).fit(GAPS, TARGET))
    assert columns(model, rows) == ["x0", {"name": "x1", "nullable": True}, "x2"]


def test_trees_behind_encoders_have_nullable_columns_too_where_rows_have_gaps(tmp_path):
    pd, compose, ensemble, pipeline, preprocessing = (
        pytest.importorskip(name)
        for name in ("pandas", *(f"sklearn.{part}" for part in ("compose", "ensemble", "pipeline", "preprocessing")))
    )
    frame = pd.DataFrame({"town": ["Bern", "Chur"] * 30, "age": [1.0, np.nan, 3.0] * 20})
    encoder = compose.ColumnTransformer(
        [("town", preprocessing.OneHotEncoder(sparse_output=False), ["town"])], remainder="passthrough"
    )
    trees = ensemble.HistGradientBoostingRegressor(max_iter=2)
    model = TreeSource(pipeline.make_pipeline(encoder, trees).fit(frame, range(60)))
    frame.to_csv(tmp_path / "rows.csv", index=False)
    town = {"name": "town", "type": "text", "categories": ["Bern", "Chur"]}
    assert columns(model, tmp_path / "rows.csv") == [town, {"name": "age", "nullable": True}]


def test_what_the_user_described_stays(tmp_path):
    described = [{"name": "age", "minimum": 0}, "income", "size"]
    assert columns(booster(GAPS), **{"input.columns": described}) == described


@pytest.mark.parametrize("cells", [["true", "False", ""], [True, False, None], ["True", "FALSE", "true"]])
@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_columns_in_which_rows_are_true_or_false_are_booleans(tmp_path, name, cells):
    rows = write(tmp_path / name, [[1.0, cell, 0, 4.0] for cell in cells])
    boolean = {"name": "income", "type": "boolean"} | ({"nullable": True} if cells[-1] in ("", None) else {})
    assert columns(booster(TABLE), rows) == ["age", boolean, "size"]


def test_columns_of_a_frame_in_which_rows_are_true_or_false_are_booleans_and_the_graph_takes_them(tmp_path):
    pd, compose, ensemble, pipeline, preprocessing = (
        pytest.importorskip(name)
        for name in ("pandas", "sklearn.compose", "sklearn.ensemble", "sklearn.pipeline", "sklearn.preprocessing")
    )
    frame = pd.DataFrame(TABLE, columns=NAMES).assign(size=TABLE[:, 2] > 0)
    scaled = compose.ColumnTransformer([("scaled", preprocessing.StandardScaler(), NAMES)])
    model = TreeSource(pipeline.make_pipeline(scaled, ensemble.RandomForestRegressor(5)).fit(frame, TARGET))
    rows = write(tmp_path / "rows.csv", [[1.0, 2.0, True, 4.0], [1.0, 2.0, False, 3.0]])
    assert columns(model, rows) == ["age", "income", {"name": "size", "type": "boolean"}]
    # A table of truth values has no place for NaN.
    gap = write(tmp_path / "gaps.csv", [[1.0, 2.0, True, 4.0], [1.0, 2.0, "", 3.0]])
    assert columns(model, gap)[2] == {"name": "size", "type": "boolean", "nullable": True, "dtype": "float32"}
    for dtype in (np.float32, np.float64):
        tensors = {name: frame[[name]].to_numpy().astype(dtype) for name in NAMES[:2]}
        tensors |= {"size": frame[["size"]].to_numpy()}
        graph, _ = model.graph({name: array[:3] for name, array in tensors.items()}, {})
        session = pytest.importorskip("onnxruntime").InferenceSession(graph.SerializeToString())
        [answers] = session.run(None, tensors)
        assert np.mean(np.abs(answers[:, 0] - model.model.predict(frame)) < 1e-5) > (
            0.9 if dtype is np.float32 else 0.999
        )
