"""magika's ready graph from the package registry, behind a handler of a user's own, equal to its source."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onnxserve_export.export import export_model
from onnxserve_export.export_state import ExportState
from onnxserve_export.options import ExportOptions
from onnxserve_export.rerun import rerun
from onnxserve_export.steps import STEPS
from tests.helpers import batch_jobs
from tests.helpers.magika import FILES, expected, write_model
from tests.helpers.torchserve import Running, running


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> ExportState:
    folder = write_model(tmp_path_factory.mktemp("models") / "file-types")
    options = ExportOptions(draft=True)  # without times, which nothing here reads
    state: ExportState = export_model(folder, folder / "store", STEPS, lambda _: None, options=options)
    return state


@pytest.fixture(scope="module")
def server(exported, tmp_path_factory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("server"), [exported.archive]) as started:
        yield started


def test_the_graph_serves_by_parity_and_gives_probabilities(exported):
    summary = exported.evidence["summary"]
    assert (summary["proof"], summary["source"]) == ("parity", "onnxruntime")
    assert summary["row_parity"]["generated"] > 50
    assert rerun(exported.archive).refusal == ""
    assert "magika-1.0.3-py3-none-any.whl" in json.dumps(exported.evidence["sources"])


@pytest.mark.parametrize("name", FILES)
def test_an_uploaded_file_gets_the_sources_answer(server, name):
    answer = server.post("file-types", FILES[name], "application/octet-stream")
    assert answer.status_code == 200, answer.text
    [prediction] = answer.json()["predictions"]
    label, score = expected(FILES[name])
    assert (prediction["label"], prediction["score"]) == (label, pytest.approx(score, abs=1e-4))


def test_a_file_that_is_too_short_is_refused(server):
    answer = server.post("file-types", b" a ", "application/octet-stream")
    assert (answer.status_code, answer.json()["error"]["reason"]) == (422, "the file has fewer than 8 bytes")


def test_code_is_told_from_pages(server):
    rows = [{"file": base64.b64encode(FILES[name]).decode()} for name in ("python", "html", "c")]
    answer = server.post("file-types", json.dumps({"instances": rows}).encode())
    assert [prediction["label"] for prediction in answer.json()["predictions"]] == ["python", "html", "c"]


def test_a_table_of_files_is_scored_with_the_same_answers(exported, tmp_path):
    path: Path = tmp_path / "files.parquet"
    contents = [base64.b64encode(content).decode() for content in FILES.values()]
    pq.write_table(pa.table({"id": [*FILES], "file": contents}), path)
    batch_jobs.run(exported.archive, path, tmp_path / "out", columns={"file": "file"})
    rows = batch_jobs.read(tmp_path / "out").to_pylist()
    for row in rows:
        assert row["error"] is None
        label, score = expected(FILES[row["id"]])
        assert (row["prediction"], row["score"]) == (label, pytest.approx(score, abs=1e-4))
    assert len(rows) == len(FILES)
