"""A residual network with ImageNet's preprocessing: from a folder of photos to answers equal to the source's."""

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

from onnxserve_export.export import export_model
from onnxserve_export.options import ExportOptions
from onnxserve_export.steps import STEPS
from tests.helpers import batch_jobs
from tests.helpers.modules import load_module
from tests.helpers.photos import imagenet, photos, viewed
from tests.helpers.torchserve import Running, running

SHORTER, SIZE = 64, 56
LABELS = ["cat", "dog", "fox", "owl"]
MODEL = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
        )

    def forward(self, x):
        return torch.relu(x + self.layers(x))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        self.blocks = nn.Sequential(Block(8), Block(8))
        self.head = nn.Linear(8, 4)

    def forward(self, image):
        return 20 * self.head(self.blocks(self.stem(image)).mean((2, 3)))


def load():
    torch.manual_seed(16)
    return Residual().eval()
"""
DEFINITION = f"""
name = "photos"
version = "1.0.0"
source = "model.py:load"
rows = "rows"

[input]
kind = "image"
height = {SIZE}
width = {SIZE}
resize = "crop"
shorter_side = {SHORTER}
pixel_max = 1
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
max_bytes = 1000000

[output]
task = "classification"
labels = {json.dumps(LABELS)}

[quantise]
variants = ["fp32"]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("photos")
    (folder / "rows").mkdir()
    for name, content in photos().items():
        (folder / "rows" / name).write_bytes(content)
    (folder / "model.py").write_text(MODEL)
    (folder / "model.toml").write_text(DEFINITION)
    golden = base64.b64encode(photos()["landscape.jpg"]).decode()
    (folder / "golden.jsonl").write_text(json.dumps({"input": golden}) + "\n")
    return folder


@pytest.fixture(scope="module")
def archive(folder) -> Path:
    export_model(folder, folder / "store", STEPS, lambda _: None, options=ExportOptions(draft=True))
    path: Path = folder / "store" / "photos-1.0.0.mar"
    return path


@pytest.fixture(scope="module")
def expected(folder) -> dict[str, np.ndarray]:
    """The source's probabilities for each photo, after the reference transform."""
    model = load_module(folder / "model.py").load()
    images = np.stack([imagenet(viewed(content), SHORTER, SIZE) for content in photos().values()])
    with torch.inference_mode():
        scores = model(torch.from_numpy(images)).softmax(1).numpy()
    return dict(zip(photos(), scores, strict=True))


@pytest.fixture(scope="module")
def server(archive, tmp_path_factory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("server"), [archive]) as started:
        yield started


def same(prediction: Any, scores: np.ndarray) -> bool:
    best = int(scores.argmax())
    return bool(prediction["label"] == LABELS[best] and abs(prediction["score"] - scores[best]) < 1e-4)


def test_the_source_tells_the_photos_apart(expected):
    assert len({int(scores.argmax()) for scores in expected.values()}) > 1


@pytest.mark.parametrize("name", photos())
def test_an_uploaded_photo_gets_the_sources_answer(server, expected, name):
    answer = server.post("photos", photos()[name], "application/octet-stream")
    assert answer.status_code == 200
    assert same(answer.json()["predictions"][0], expected[name])


def test_photos_in_one_request_get_the_same_answers(server, expected):
    rows = [{"image": base64.b64encode(content).decode()} for content in photos().values()]
    predictions = server.post("photos", json.dumps({"instances": rows}).encode()).json()["predictions"]
    assert [same(*pair) for pair in zip(predictions, expected.values(), strict=True)] == [True] * len(rows)


def test_a_folder_of_photos_is_scored_with_the_same_answers(archive, folder, expected, tmp_path):
    batch_jobs.run(archive, folder / "rows", tmp_path / "out", keep=("path",))
    rows = batch_jobs.read(tmp_path / "out").to_pylist()
    assert len(rows) == len(expected)
    for row in rows:
        assert row["error"] is None
        prediction = {"label": row["prediction"], "score": row["score"]}
        assert same(prediction, expected[os.path.basename(row["path"])])  # noqa: PTH119 - a URL
