"""Evidently's report compares a prediction log with the proof rows of a real archive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from onnxserve.archive import open_archive
from onnxserve.archive.proof import ProofRow, proof_rows
from onnxserve.cli.app import app
from onnxserve.errors import MonitorError
from onnxserve_handlers.request import Request
from onnxserve_handlers.response import Response
from onnxserve_handlers.tasks.classification import Classification
from onnxserve_handlers.telemetry.prediction_log import PredictionLog, Settings
from tests.helpers.kinds import table_signature

TASK = Classification()
TASK.signature = table_signature("x", "y", labels=("outside", "inside"), model="circle", version="1.0.0")


@pytest.fixture(scope="module")
def proven(archive) -> list[ProofRow]:
    with open_archive(archive) as opened:
        return proof_rows(opened.read("proof.jsonl"))


def log(folder: Path, proven: list[ProofRow], change: float, **settings: Any) -> None:
    """Write a log as a worker does, of rows like the proof's with `change` added to their first column."""
    prediction_log = PredictionLog(Settings(str(folder / "predictions"), 100.0, **settings), TASK)
    for index in np.random.default_rng(9).integers(0, len(proven), 1500):
        (x, y), [logits] = proven[index].input, proven[index].outputs.values()
        outside, inside = logits.array()
        score = round(1 / (1 + float(np.exp(-abs(inside - outside)))), 6)
        body = {"predictions": [{"label": "inside" if inside > outside else "outside", "score": score}]}
        request, response = Request(instances=[[x + change, y]]), Response(msgspec.json.encode(body))
        prediction_log.add([request], [response], [{"x-request-id": str(index)}])
    prediction_log.close()


def drift(archive: Path, folder: Path, *words: str) -> str:
    places = ["--store", str(archive.parent), "--state", str(folder), "-o", str(folder / "drift.html")]
    return CliRunner().invoke(app, ["monitor", "drift", "circle", *places, *words], catch_exceptions=False).output


def measures_in(output: str) -> set[str]:
    """The first column of the table."""
    return {name for line in output.splitlines() if (name := line.partition(" ")[0]) in {"x", "y", "label", "score"}}


def test_rows_like_the_proofs_drift_in_nothing_and_shifted_ones_in_their_column(archive, proven, tmp_path):
    for name, change in (("same", 0.0), ("other", 0.8)):
        log(tmp_path / name, proven, change)
        measures = {measure["measure"]: measure for measure in json.loads(drift(archive, tmp_path / name, "--json"))}
        assert set(measures) == {"x", "y", "label", "score"}
        assert [name for name, measure in measures.items() if measure["drifts"]] == (["x"] if change else [])
        assert (measures["x"]["ks_p"] < 1e-6) == bool(change)
        assert measures["label"]["ks_p"] is None
        assert (tmp_path / name / "drift.html").stat().st_size > 100_000


def test_a_column_that_was_redacted_is_named_and_not_compared(archive, proven, tmp_path):
    log(tmp_path, proven, 0.8, redact=("x",))
    output = drift(archive, tmp_path)
    assert "not kept in the log: x" in output
    assert {"y", "label", "score"} == measures_in(output)


def test_without_inputs_answers_alone_are_compared(archive, proven, tmp_path):
    log(tmp_path, proven, 0.0, inputs=False)
    output = drift(archive, tmp_path)
    assert "answers only" in output
    assert {"label", "score"} == measures_in(output)


def test_what_cannot_be_compared_is_said(archive, proven, tmp_path):
    with pytest.raises(MonitorError, match="there is no prediction log"):
        drift(archive, tmp_path)
    log(tmp_path, proven, 0.0)
    with pytest.raises(MonitorError, match="no prediction of circle 9 was logged"):
        drift(archive, tmp_path, "--version", "9")
    with pytest.raises(MonitorError, match=r"archive of circle 1\.0\.0 is not in the store"):
        drift(tmp_path / "none.mar", tmp_path)
