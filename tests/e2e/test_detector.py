"""A detector from a ready graph: the boxes that are served and scored are the source's, in the client's pictures."""

from __future__ import annotations

import json
import os

import pytest

from onnxserve.archive import open_archive, read_signature
from onnxserve.archive.evidence import describe_proof
from onnxserve_export.rerun import rerun
from tests.helpers import batch_jobs
from tests.helpers.detector import expected, same
from tests.helpers.import_command import pictures
from tests.helpers.photos import photos
from tests.helpers.real_models import archive_of


def test_the_number_of_boxes_is_free_and_the_graph_is_equal_to_its_source(artefacts):
    archive = archive_of(artefacts, "detector")
    [boxes] = [output for output in read_signature(archive)["outputs"] if output["name"] == "boxes"]
    assert isinstance(boxes["shape"][1], str)
    with open_archive(archive) as opened:
        summary = json.loads(opened.read("evidence.json"))["summary"]
    assert (summary["proof"], summary["task"], summary["claim"]) == ("parity", "detection", "agreement")
    assert "mean F1 of matched boxes beside the source's answers 100.00%" in " ".join(describe_proof(summary))
    again = rerun(archive)
    assert again.refusal == ""
    assert again.paired.accuracy == pytest.approx(1)


@pytest.mark.parametrize("name", photos())
def test_an_uploaded_picture_gets_the_sources_boxes_in_its_own_pixels(real_models, name):
    answer = real_models.post("detector", photos()[name], "application/octet-stream")
    assert answer.status_code == 200, answer.text
    assert same(answer.json()["predictions"][0], expected(photos()[name]))


def test_pictures_have_other_numbers_of_boxes():
    assert len({len(expected(content)) for content in pictures().values()}) > 2


def test_a_folder_of_pictures_is_scored_with_the_same_boxes(artefacts, tmp_path):
    batch_jobs.run(archive_of(artefacts, "detector"), artefacts / "scenes", tmp_path / "out", keep=("path",))
    rows = batch_jobs.read(tmp_path / "out").to_pylist()
    assert len(rows) == len(pictures())
    for row in rows:
        assert row["error"] is None
        objects = expected(pictures()[os.path.basename(row["path"])])  # noqa: PTH119 - a URL
        assert same(json.loads(row["prediction"]), objects)
        assert row["score"] == pytest.approx(objects[0]["score"] if objects else 0, abs=1e-4)
