"""magika's ready graph from the package registry, behind a handler of a user's own, equal to its source."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onnxserve.archive import open_archive
from onnxserve_export.rerun import rerun
from tests.helpers import batch_jobs
from tests.helpers.magika import FILES, expected
from tests.helpers.real_models import archive_of


@pytest.fixture(scope="module")
def archive(artefacts) -> Path:
    return archive_of(artefacts, "file-types")


def test_the_graph_serves_by_parity_and_gives_probabilities(archive):
    with open_archive(archive) as opened:
        evidence = json.loads(opened.read("evidence.json"))
    summary = evidence["summary"]
    assert (summary["proof"], summary["source"]) == ("parity", "onnxruntime")
    assert summary["row_parity"]["generated"] > 50
    assert rerun(archive).refusal == ""
    assert "magika-1.0.3-py3-none-any.whl" in json.dumps(evidence["sources"])


@pytest.mark.parametrize("name", FILES)
def test_an_uploaded_file_gets_the_sources_answer(real_models, name):
    answer = real_models.post("file-types", FILES[name], "application/octet-stream")
    assert answer.status_code == 200, answer.text
    [prediction] = answer.json()["predictions"]
    label, score = expected(FILES[name])
    assert (prediction["label"], prediction["score"]) == (label, pytest.approx(score, abs=1e-4))


def test_a_file_that_is_too_short_is_refused(real_models):
    answer = real_models.post("file-types", b" a ", "application/octet-stream")
    assert (answer.status_code, answer.json()["error"]["reason"]) == (422, "the file has fewer than 8 bytes")


def test_code_is_told_from_pages(real_models):
    rows = [{"file": base64.b64encode(FILES[name]).decode()} for name in ("python", "html", "c")]
    predictions = real_models.predictions("file-types", rows)
    assert [prediction["label"] for prediction in predictions] == ["python", "html", "c"]


def test_a_table_of_files_is_scored_with_the_same_answers(archive, tmp_path):
    path: Path = tmp_path / "files.parquet"
    contents = [base64.b64encode(content).decode() for content in FILES.values()]
    pq.write_table(pa.table({"id": [*FILES], "file": contents}), path)
    batch_jobs.run(archive, path, tmp_path / "out", columns={"file": "file"})
    rows = batch_jobs.read(tmp_path / "out").to_pylist()
    for row in rows:
        assert row["error"] is None
        label, score = expected(FILES[row["id"]])
        assert (row["prediction"], row["score"]) == (label, pytest.approx(score, abs=1e-4))
    assert len(rows) == len(FILES)
