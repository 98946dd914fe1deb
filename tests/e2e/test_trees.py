"""A gradient-boosted tree with categories and missing values: one export, and its answers equal the source's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onnxserve.archive import read_signature, unpack
from onnxserve_handlers.offline import make_handler
from onnxserve_handlers.telemetry.drift import FALSE_ALARM, Drift, Profile
from tests.helpers.credit import PLANS, Rows, customers, encoded, trees
from tests.helpers.real_models import archive_of
from tests.helpers.torchserve import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def tree_archive(artefacts) -> Path:
    return archive_of(artefacts, "credit")


@pytest.fixture(scope="module")
def source() -> Any:
    return trees()


def scores(predictions: Rows) -> npt.NDArray[np.float64]:
    """Return the score of `good`."""
    return np.array([row["score"] if row["label"] == "good" else 1 - row["score"] for row in predictions])


def test_it_answers_as_its_source_does_in_float64(real_models, source):
    rows = customers(60, 2, [*PLANS, "gold"])  # a category that it never saw
    np.testing.assert_allclose(
        scores(real_models.predictions("credit", rows)), source.predict(encoded(rows)), atol=2e-6
    )


def test_the_archive_takes_float64_as_the_source_does(tree_archive):
    signature = read_signature(tree_archive)
    assert (signature["input"]["dtype"], signature["inputs"][0]["dtype"]) == ("float64", "float64")


def test_a_value_of_another_type_is_refused_by_its_column(real_models):
    [row] = customers(1, 3)
    answer = real_models.post("credit", json.dumps({"instances": [{**row, "member": "yes"}]}).encode())
    assert (answer.status_code, answer.json()["error"]["where"]) == (422, "instances[0].member")


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
        drift.add([[handler.check(row, "row")] for row in rows], [], handler)
        p_values.append(drift.close_window())
    assert p_values[0] > FALSE_ALARM > max(p_values[1:])
    assert reported["amount.missing"] > 1
