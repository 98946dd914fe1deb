"""A pipeline that was fitted to a data frame, texts among its columns: exported, and asked by its archive's handler."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from onnxserve.archive import read_signature, unpack
from onnxserve.archive.offline import answers
from onnxserve.errors import OnnxserveError
from onnxserve_export.export import export_model
from onnxserve_export.options import ExportOptions
from onnxserve_export.steps import STEPS

pd = pytest.importorskip("pandas")
pytest.importorskip("skl2onnx", reason="onnxserve[trees] is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

DEFINITION = """
name = "towns"
version = "1.0.0"
source = "model.py:load"
rows = "rows.csv"

[input]
kind = "table"
tensors = "columns"
columns = [
    { name = "town", type = "text", nullable = true, fill = "nowhere" },
    "amount",
    { name = "seats", type = "integer", minimum = 0 },
]

[output]
task = "regression"

[quantise]
variants = ["fp32"]
"""
MODEL = """
import joblib
from pathlib import Path


def load():
    return joblib.load(Path(__file__).with_name("pipeline.bin"))
"""


def frame(count: int, seed: int) -> Any:
    draws = np.random.default_rng(seed)
    towns = draws.choice(["Bern", "Chur", "Genf"], count)
    return pd.DataFrame(
        {"town": towns, "amount": draws.normal(size=count).round(2), "seats": draws.integers(0, 9, count)}
    )


@pytest.fixture(scope="module")
def pipeline() -> Any:
    compose, steps, preprocessing, ensemble = (
        importlib.import_module(f"sklearn.{name}") for name in ("compose", "pipeline", "preprocessing", "ensemble")
    )
    encoder = compose.ColumnTransformer(
        [("town", preprocessing.OneHotEncoder(handle_unknown="ignore"), ["town"])], remainder="passthrough"
    )
    model = steps.make_pipeline(encoder, ensemble.GradientBoostingRegressor(n_estimators=10))
    rows = frame(300, 0)
    return model.fit(rows, rows["amount"] * rows["seats"] + (rows["town"] == "Bern"))


@pytest.fixture(scope="module")
def towns(pipeline, tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("towns")
    model = folder / "towns"
    model.mkdir()
    (model / "model.toml").write_text(DEFINITION)
    (model / "model.py").write_text(MODEL)
    importlib.import_module("joblib").dump(pipeline, model / "pipeline.bin")
    rows = frame(120, 1)
    rows["label"] = pipeline.predict(rows)
    rows.to_csv(model / "rows.csv", index=False)
    (model / "golden.jsonl").write_text(json.dumps({"input": {"town": "Bern", "amount": 1.5, "seats": 2}}) + "\n")
    export_model(model, folder / "store", STEPS, lambda _: None, options=ExportOptions(draft=True))
    return folder


def test_each_column_is_a_tensor_of_its_own_type(towns):
    signature = read_signature(towns / "store" / "towns-1.0.0.mar")
    assert [(tensor["name"], tensor["dtype"]) for tensor in signature["inputs"]] == [
        ("town", "object"),
        ("amount", "float32"),
        ("seats", "int64"),
    ]


def test_it_answers_as_the_pipeline_does_and_refuses_a_bad_value_by_its_column(towns, pipeline, tmp_path):
    unpack(towns / "store" / "towns-1.0.0.mar", tmp_path / "open")
    rows = frame(20, 2)
    rows.loc[0, "town"] = "elsewhere"
    bodies = [{"instances": rows.to_dict("records")}, {"instances": [{"town": None, "amount": 0, "seats": 1.5}]}]
    good, bad = answers(tmp_path / "open", [msgspec.json.encode(body) for body in bodies])
    values = [row["values"][0] for row in good["body"]["predictions"]]
    np.testing.assert_allclose(values, pipeline.predict(rows.astype({"amount": "float32"})), rtol=1e-5, atol=1e-5)
    assert (bad["status"], bad["body"]["error"]["where"]) == (422, "instances[0].seats")


def test_an_unknown_column_of_rows_is_named_before_anything_is_read(towns, tmp_path):
    rows = towns / "towns" / "rows.csv"
    kept = rows.read_text()
    rows.write_text(kept.replace("seats", "chairs", 1))
    with pytest.raises(OnnxserveError, match="missing columns: seats"):
        export_model(towns / "towns", tmp_path, STEPS, lambda _: None, options=ExportOptions(draft=True))
    rows.write_text(kept)
