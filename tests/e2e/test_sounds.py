"""A convolutional network for sounds: from a folder of class folders to answers equal to the source's."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from onnxserve_export.export import export_model
from onnxserve_export.options import ExportOptions
from onnxserve_export.steps import STEPS
from tests.helpers import batch_jobs
from tests.helpers.browser import WAIT_S, asked, text
from tests.helpers.gateway import TorchServeClient, gateway_before
from tests.helpers.modules import load_module
from tests.helpers.sounds import saved, sounds, tone
from tests.helpers.torchserve import running

RATE, WINDOW = 8000, 4000  # Hz, samples
LABELS = ["bird", "bell"]
MODEL = """
import torch
from torch import nn


class Listener(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(1, 8, 64, 16), nn.ReLU(), nn.Conv1d(8, 8, 5, 2), nn.ReLU())
        self.head = nn.Linear(8, 2)

    def forward(self, audio):
        return 200 * self.head(self.layers(audio[:, None]).mean(2))


def load():
    torch.manual_seed(21)
    return Listener().eval()
"""
DEFINITION = f"""
name = "listener"
version = "1.0.0"
source = "model.py:load"
rows = "rows"

[input]
kind = "audio"
sample_rate = {RATE}
max_seconds = 2.0
window_seconds = {WINDOW / RATE}
max_bytes = 1000000

[output]
task = "classification"
labels = {json.dumps(LABELS)}

[quantise]
variants = ["fp32"]
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Any:
    path: Path = tmp_path_factory.mktemp("listener") / "model.py"
    path.write_text(MODEL)
    return load_module(path).load()


def scores_of(model: torch.nn.Module, samples: np.ndarray) -> np.ndarray:
    """The source's probabilities for samples at its rate, cut or followed by silence."""
    window = np.zeros((1, WINDOW), np.float32)
    window[0, : len(samples)] = samples[:WINDOW]
    with torch.inference_mode():
        scores: np.ndarray = model(torch.from_numpy(window)).softmax(1).numpy()[0]
    return scores


@pytest.fixture(scope="module")
def expected(model) -> dict[str, np.ndarray]:
    return {name: scores_of(model, samples) for name, (_, samples) in sounds(RATE).items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, expected) -> Path:
    """A model folder whose rows lie in a folder of each class."""
    folder: Path = tmp_path_factory.mktemp("sounds")
    for name, (content, _) in sounds(RATE).items():
        home = folder / "rows" / LABELS[int(expected[name].argmax())]
        home.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(content)
    (folder / "model.py").write_text(MODEL)
    (folder / "model.toml").write_text(DEFINITION)
    golden = base64.b64encode(sounds(RATE)["low.wav"][0]).decode()
    (folder / "golden.jsonl").write_text(json.dumps({"input": golden}) + "\n")
    return folder


@pytest.fixture(scope="module")
def archive(folder) -> Path:
    export_model(folder, folder / "store", STEPS, lambda _: None, options=ExportOptions(draft=True))
    path: Path = folder / "store" / "listener-1.0.0.mar"
    return path


@pytest.fixture(scope="module")
def front(archive, tmp_path_factory) -> Iterator[TorchServeClient]:
    """The server and the gateway before it."""
    with running(tmp_path_factory.mktemp("server"), [archive]) as server, gateway_before(server) as fronted:
        yield fronted


def ask(front: TorchServeClient, content: bytes, kind: str = "") -> tuple[int, Any]:
    answer = front.post("/predictions/listener", content, **{"content-type": kind})
    return answer.status_code, answer.json()


def same(prediction: Any, scores: np.ndarray, tolerance: float = 1e-4) -> bool:
    best = int(scores.argmax())
    return bool(prediction["label"] == LABELS[best] and abs(prediction["score"] - scores[best]) < tolerance)


@pytest.mark.parametrize("name", ["low.wav", "deep.wav", "float.wav", "stereo.flac"])
@pytest.mark.parametrize("kind", ["", "audio/x-wav", "application/octet-stream"])
def test_an_uploaded_sound_gets_the_sources_answer(front, expected, name, kind):
    status, document = ask(front, sounds(RATE)[name][0], kind)
    assert status == 200, document
    assert same(document["predictions"][0], expected[name])


def test_a_sound_of_another_rate_gets_the_answer_of_its_waveform(front, model):
    status, document = ask(front, saved(tone(300, 44_100), 44_100, subtype="FLOAT"), "audio/wav")
    assert (status, same(document["predictions"][0], scores_of(model, tone(300, RATE)), 1e-2)) == (200, True)


def test_samples_in_json_get_the_same_answer(front, expected):
    rows = [samples.astype(float).tolist() for _, samples in sounds(RATE).values()]
    body = json.dumps({"instances": [{"audio": row} for row in rows]}).encode()
    status, document = ask(front, body, "application/json")
    assert status == 200, document
    pairs = zip(document["predictions"], expected.values(), strict=True)
    assert [same(*pair) for pair in pairs] == [True] * len(rows)


def test_the_playground_plays_a_chosen_sound_and_shows_the_same_answer(front, browser, expected, tmp_path):
    (tmp_path / "low.wav").write_bytes(sounds(RATE)["low.wav"][0])
    browser.get(front.console)
    WebDriverWait(browser, WAIT_S).until(lambda page: page.find_elements(By.CSS_SELECTOR, "#play-row input[type=file]"))
    browser.find_element(By.CSS_SELECTOR, "#play-row input[type=file]").send_keys(str(tmp_path / "low.wav"))
    duration = "return document.querySelector('#play-row audio')?.duration"
    WebDriverWait(browser, WAIT_S).until(lambda page: page.execute_script(duration) == 0.5)
    assert text(browser, "#play-curl") == f"curl -T sound.wav {front.url}/predictions/listener"
    assert same(asked(browser)["predictions"][0], expected["low.wav"])  # type: ignore[index]


def test_a_sound_that_is_too_long_is_refused_by_its_length(front):
    status, document = ask(front, saved(np.zeros(3 * RATE), RATE), "audio/wav")
    assert (status, document["error"]["reason"]) == (413, "the sound is 3 s long, at most 2 s are accepted")


def test_a_folder_of_sounds_is_scored_with_the_same_answers(archive, folder, expected, tmp_path):
    batch_jobs.run(archive, folder / "rows", tmp_path / "out", keep=("path",))
    rows = batch_jobs.read(tmp_path / "out").to_pylist()
    assert len(rows) == len(expected)
    for row in rows:
        assert row["error"] is None
        prediction = {"label": row["prediction"], "score": row["score"]}
        assert same(prediction, expected[os.path.basename(row["path"])])  # noqa: PTH119 - a URL
