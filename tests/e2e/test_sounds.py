"""A convolutional network for sounds: its answers, alone and in a folder of class folders, equal the source's."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from tests.helpers import batch_jobs
from tests.helpers.real_models import archive_of
from tests.helpers.scores import same
from tests.helpers.serving import Serving
from tests.helpers.sound_classifier import RATE, files, scores
from tests.helpers.sounds import saved, sounds, tone


@pytest.fixture(scope="module")
def expected() -> dict[str, dict[str, float]]:
    return {name: scores(samples) for name, (_, samples) in files().items()}


def ask(server: Serving, content: bytes, kind: str = "") -> tuple[int, Any]:
    answer = server.post("sound-classifier", content, kind)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("name", ["low.wav", "deep.wav", "float.wav", "stereo.flac"])
@pytest.mark.parametrize("kind", ["", "audio/x-wav", "application/octet-stream"])
def test_an_uploaded_sound_gets_the_sources_answer(real_models, expected, name, kind):
    status, document = ask(real_models, sounds(RATE)[name][0], kind)
    assert status == 200, document
    assert same(document["predictions"][0], expected[name])


def test_a_sound_of_another_rate_gets_the_answer_of_its_waveform(real_models):
    status, document = ask(real_models, saved(tone(300, 44_100), 44_100, subtype="FLOAT"), "audio/wav")
    assert (status, same(document["predictions"][0], scores(tone(300, RATE)), 1e-2)) == (200, True)


def test_samples_in_json_get_the_same_answer(real_models, expected):
    rows = {name: {"audio": samples.astype(float).tolist()} for name, (_, samples) in sounds(RATE).items()}
    predictions = real_models.predictions("sound-classifier", [*rows.values()])
    assert [name for name, row in zip(rows, predictions, strict=True) if not same(row, expected[name])] == []


def test_a_sound_that_is_too_long_is_refused_by_its_length(real_models):
    status, document = ask(real_models, saved(np.zeros(3 * RATE), RATE), "audio/wav")
    assert (status, document["error"]["reason"]) == (413, "the sound is 3 s long, at most 2 s are accepted")


def test_a_folder_of_sounds_is_scored_with_the_same_answers(artefacts, expected, tmp_path):
    batch_jobs.run(archive_of(artefacts, "sound-classifier"), artefacts / "sounds", tmp_path / "out", keep=("path",))
    rows = batch_jobs.read(tmp_path / "out").to_pylist()
    assert len(rows) == len(expected)
    for row in rows:
        assert row["error"] is None
        prediction = {"label": row["prediction"], "score": row["score"]}
        assert same(prediction, expected[os.path.basename(row["path"])])  # noqa: PTH119 - a URL
