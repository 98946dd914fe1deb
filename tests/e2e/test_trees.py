"""A gradient-boosted tree with categories and missing values: one export, and its answers equal the source's."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from onnxserve.archive import read_signature, unpack
from onnxserve_handlers.offline import make_handler
from onnxserve_handlers.telemetry.drift import FALSE_ALARM, Drift, Profile
from tests.conftest import exported
from tests.helpers.browser import WAIT_S, asked, text
from tests.helpers.gateway import gateway_before
from tests.helpers.torchserve import ROOT, Running, running

lightgbm = pytest.importorskip("lightgbm", reason="onnxserve[trees] is not installed")
pytest.importorskip("onnxmltools", reason="onnxserve[trees] is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

PLANS = ["basic", "pro", "team", "trial"]
DEFINITION = """
name = "credit"
version = "1.0.0"
source = "trees.txt"
rows = "rows.parquet"

[input]
kind = "table"
columns = [
    { name = "amount", nullable = true },
    { name = "plan", type = "category", categories = [PLANS], unknown = "nan", nullable = true },
    { name = "member", type = "boolean" },
    { name = "joined", type = "date", since = "2020-01-01" },
]

[output]
task = "classification"
labels = ["bad", "good"]

[quantise]
variants = ["fp32"]
"""
Rows = list[dict[str, Any]]


def customers(count: int, seed: int, plans: list[str] = PLANS) -> Rows:
    draws = np.random.default_rng(seed)
    days = np.datetime64("2020-01-01") + draws.integers(0, 1500, count)
    return [
        {
            "amount": None if draws.random() < 0.2 else round(float(draws.gamma(2, 50)), 2),
            "plan": None if draws.random() < 0.1 else str(draws.choice(plans)),
            "member": bool(draws.integers(2)),
            "joined": str(day),
        }
        for day in days
    ]


def encoded(rows: Rows) -> npt.NDArray[np.float64]:
    """Return what the model was fitted to, written out: NaN for null, places of categories, days."""
    return np.array(
        [
            [
                np.nan if row["amount"] is None else row["amount"],
                PLANS.index(row["plan"]) if row["plan"] in PLANS else np.nan,
                row["member"],
                (date.fromisoformat(row["joined"]) - date(2020, 1, 1)).days,
            ]
            for row in rows
        ],
        np.float64,
    )


def is_good(rows: Rows) -> npt.NDArray[np.int64]:
    table = np.nan_to_num(encoded(rows), nan=-1)
    return ((table[:, 0] > 60) ^ (np.isin(table[:, 1], [1, 3])) ^ (table[:, 2] > 0)).astype(int)


@pytest.fixture(scope="module")
def source() -> Any:
    rows = customers(1500, 0)
    data = lightgbm.Dataset(encoded(rows), is_good(rows), categorical_feature=[1])
    options = {"objective": "binary", "verbose": -1, "num_threads": 1, "num_leaves": 15}
    return lightgbm.train(options, data, num_boost_round=30)


@pytest.fixture(scope="module")
def tree_archive(source, tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("trees")
    model = folder / "credit"
    model.mkdir()
    (model / "model.toml").write_text(DEFINITION.replace("[PLANS]", json.dumps(PLANS)))
    source.save_model(model / "trees.txt")
    rows = customers(400, 1)
    labels = np.where(source.predict(encoded(rows)) > 0.5, "good", "bad").tolist()
    pq.write_table(
        pa.Table.from_pylist([{**row, "label": label} for row, label in zip(rows, labels, strict=True)]),
        model / "rows.parquet",
    )
    golden = [{"input": row, "label": label} for row, label in zip(rows[:5], labels[:5], strict=True)]
    (model / "golden.jsonl").write_text("".join(json.dumps(line) + "\n" for line in golden))
    exported(model, folder / "store")
    return folder / "store" / "credit-1.0.0.mar"


@pytest.fixture(scope="module")
def server(tree_archive, tmp_path_factory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("server"), [tree_archive]) as server:
        yield server


def scores(predictions: Rows) -> npt.NDArray[np.float64]:
    """Return the score of `good`."""
    return np.array([row["score"] if row["label"] == "good" else 1 - row["score"] for row in predictions])


def test_it_answers_as_its_source_does_in_float64(server, source):
    rows = customers(60, 2, [*PLANS, "gold"])  # a category that it never saw
    answer = server.post("credit", json.dumps({"instances": rows}).encode())
    assert answer.status_code == 200, answer.text
    np.testing.assert_allclose(scores(answer.json()["predictions"]), source.predict(encoded(rows)), atol=2e-6)


def test_the_archive_takes_float64_as_the_source_does(tree_archive):
    signature = read_signature(tree_archive)
    assert (signature["input"]["dtype"], signature["inputs"][0]["dtype"]) == ("float64", "float64")


def test_a_value_of_another_type_is_refused_by_its_column(server):
    [row] = customers(1, 3)
    answer = server.post("credit", json.dumps({"instances": [{**row, "member": "yes"}]}).encode())
    assert (answer.status_code, answer.json()["error"]["where"]) == (422, "instances[0].member")


def test_the_playground_has_a_field_of_each_columns_type(server, source, browser):
    with gateway_before(server) as front:
        browser.get(front.console)
        WebDriverWait(browser, WAIT_S).until(lambda page: page.find_elements(By.CSS_SELECTOR, "#play-row [name=plan]"))
        script = "return [...document.querySelectorAll('#play-row [name]')].map(f => [f.name, f.type])"
        fields = browser.execute_script(script)
        assert fields == [["amount", "number"], ["plan", "text"], ["member", "select-one"], ["joined", "date"]]
        browser.find_element(By.CSS_SELECTOR, "#play-row [name=amount]").clear()
        plan = browser.find_element(By.CSS_SELECTOR, "#play-row [name=plan]")
        plan.clear()
        plan.send_keys("team")
        row = {"amount": None, "plan": "team", "member": True, "joined": "2024-02-29"}
        assert json.dumps(row, separators=(",", ":")) in text(browser, "#play-curl")
        predictions: Any = asked(browser)["predictions"]
        np.testing.assert_allclose(np.array(scores(predictions)), source.predict(encoded([row])), atol=2e-6)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_files_of_typed_columns_are_scored_alike(tree_archive, source, tmp_path, suffix):
    rows = customers(300, 4)
    path, out = tmp_path / f"rows.{suffix}", tmp_path / "out"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        lines = [",".join("" if value is None else str(value) for value in row.values()) for row in rows]
        path.write_text("\n".join([",".join(rows[0]), *lines]) + "\n")
    command = [sys.executable, "-m", "onnxserve", "batch", str(tree_archive), str(path), "--output", str(out)]
    completed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    table = pq.read_table(out).sort_by("row")
    assert table["error"].null_count == len(rows)
    pairs = zip(table["prediction"].to_pylist(), table["score"].to_pylist(), strict=True)
    predictions = [{"label": label, "score": score} for label, score in pairs]
    np.testing.assert_allclose(scores(predictions), source.predict(encoded(rows)), atol=2e-6)


def test_drift_sees_other_categories_and_more_nulls(tree_archive, tmp_path):
    folder = tmp_path / "open"
    unpack(tree_archive, folder)
    handler, alike, other = make_handler(folder), customers(500, 5), customers(500, 6, ["team"])
    profile = msgspec.json.decode((folder / "profile.json").read_bytes(), type=Profile)
    assert {"plan", "plan.missing", "amount", "amount.missing", "member", "joined"} <= set(profile.measures)
    reported: dict[str, Any] = {}
    drift = Drift(profile, lambda name, stats: reported.update({name: stats["psi"]}), lambda _: None)
    p_values = []
    for rows in (alike, other, [{**row, "amount": None} for row in alike]):
        drift.add([handler.check(row, "row") for row in rows], [], handler)
        p_values.append(drift.close_window())
    assert p_values[0] > FALSE_ALARM > max(p_values[1:])
    assert reported["amount.missing"] > 1
