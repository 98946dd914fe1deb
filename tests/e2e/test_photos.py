"""A residual network with ImageNet's preprocessing, as a function and as an old archive: photos get its own answers."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import batch_jobs
from tests.helpers.import_command import pictures
from tests.helpers.photos import photos
from tests.helpers.real_models import archive_of
from tests.helpers.residual import scores
from tests.helpers.scores import same

OLD = {"shorter": 256, "size": 224}  # the transform of TorchServe's image_classifier


@pytest.fixture(scope="module")
def expected() -> dict[str, dict[str, float]]:
    """The source's probabilities for each photo, after the reference transform."""
    return {name: scores(content) for name, content in pictures().items()}


def test_the_source_tells_the_photos_apart(expected):
    assert len({max(known, key=lambda name: known[name]) for known in expected.values()}) > 1


@pytest.mark.parametrize("name", photos())
def test_an_uploaded_photo_gets_the_sources_answer(real_models, expected, name):
    answer = real_models.post("residual", photos()[name], "application/octet-stream")
    assert answer.status_code == 200
    assert same(answer.json()["predictions"][0], expected[name])


def test_photos_in_one_request_get_the_same_answers(real_models, expected):
    rows = [{"image": base64.b64encode(content).decode()} for content in photos().values()]
    predictions = real_models.predictions("residual", rows)
    assert [same(prediction, expected[name]) for name, prediction in zip(photos(), predictions, strict=True)] == [
        True
    ] * len(rows)


@pytest.mark.parametrize("name", photos())
def test_the_imported_old_archive_answers_as_its_torchscript_does(real_models, name):
    answer = real_models.post("old", photos()[name], "image/jpg")
    assert answer.status_code == 200, answer.text
    assert same(answer.json()["predictions"][0], scores(photos()[name], **OLD))


def test_folders_of_photos_are_scored_with_the_same_answers(artefacts, expected, tmp_path):
    rows = scored(artefacts, "residual", artefacts / "photos", tmp_path / "out")
    assert rows.keys() == expected.keys()
    assert [name for name, row in rows.items() if not same(row, expected[name])] == []
    (tmp_path / "few").mkdir()
    for name, content in photos().items():
        (tmp_path / "few" / name).write_bytes(content)
    rows = scored(artefacts, "old", tmp_path / "few", tmp_path / "old")
    assert [name for name, row in rows.items() if not same(row, scores(photos()[name], **OLD))] == []


def scored(artefacts: Path, model: str, folder: Path, out: Path) -> dict[str, Any]:
    """The prediction of each file of a folder."""
    batch_jobs.run(archive_of(artefacts, model), folder, out, keep=("path",))
    rows = batch_jobs.read(out).to_pylist()
    assert [row["error"] for row in rows] == [None] * len(rows)
    return {os.path.basename(row["path"]): {"label": row["prediction"], "score": row["score"]} for row in rows}  # noqa: PTH119 - a URL
