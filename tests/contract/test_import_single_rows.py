"""Models that take one row at a time: graphs with a fixed batch, and detectors whose outputs have no batch at all."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from onnxserve.archive import read_signature, unpack
from onnxserve.archive.offline import answers
from tests.helpers.program import run

HEIGHT, WIDTH, CELL = 32, 48, 8
DETECTOR = f'''
import torch


class Bright(torch.nn.Module):
    """An object for each cell of a picture that has a bright colour; one mapping a picture, as torchvision's have."""

    def __init__(self):
        super().__init__()
        self.pool = torch.nn.AvgPool2d({CELL})

    def forward(self, images):
        return [self.objects(image) for image in images]

    def objects(self, image):
        scores, labels = self.pool(image[None])[0].max(0)
        y, x = torch.nonzero(scores > 0.5).unbind(1)
        boxes = torch.stack([x, y, x + 1, y + 1], 1) * {CELL}.0
        return {{"boxes": boxes, "labels": labels[y, x], "scores": scores[y, x]}}


class Batched(Bright):
    def forward(self, image):
        return tuple(self.objects(image[0]).values())


class Unbatched(Bright):
    def forward(self, image):
        return tuple(self.objects(image).values())


def build():
    return Bright()
'''
PICTURES = ("--kind", "image", "--task", "detection", "--labels", "red,green,blue")
LEVELS = ("--set", "input.mean=0", "--set", "input.std=1", "--set", "input.pixel_max=1")
OPTIONS = (
    *PICTURES,
    *LEVELS,
    "--set",
    "output.first_label=0",
    "--set",
    "output.max_overlap=1",
    "--set",
    "output.max_boxes=1000",
)
SIZE = ("--set", f"input.height={HEIGHT}", "--set", f"input.width={WIDTH}")


@pytest.fixture
def imported(tmp_path, monkeypatch, capsys):
    """Import a model of a folder by the command line; return its archive's signature and a function that asks it."""

    def call(source: str, *options: str):
        monkeypatch.chdir(tmp_path)
        words = ("import", source, "net", "--store", "store", "--json", *options)
        code, out, err = run(*words, monkeypatch=monkeypatch, capsys=capsys)
        assert code == 0, err
        archive, folder = tmp_path / json.loads(out)["archive"], tmp_path / "open"
        unpack(archive, folder)

        def ask(instances: list[Any]) -> list[Any]:
            [reply] = answers(folder, [json.dumps({"instances": instances}).encode()])
            assert reply["status"] == 200, reply
            predictions: list[Any] = reply["body"]["predictions"]
            return predictions

        return read_signature(archive), json.loads(out), ask

    return call


def module_of(name: str) -> torch.nn.Module:
    space: dict[str, Any] = {}
    exec(DETECTOR, space)  # noqa: S102 - the code above
    module: torch.nn.Module = space[name]()
    return module


def picture(seed: int) -> tuple[str, np.ndarray]:
    """A picture as a client sends it, and its levels from 0 to 1; the first one is dark."""
    draws = np.random.default_rng(seed)
    cells = draws.integers(0, 256, (HEIGHT // CELL, WIDTH // CELL, 3)) * (seed > 0)
    pixels = np.kron(cells, np.ones((CELL, CELL, 1))).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode(), pixels.transpose(2, 0, 1).astype(np.float32) / 255


def expected_objects(levels: np.ndarray) -> list[tuple[str, list[float], float]]:
    """The source's own objects, the best first."""
    [detected] = module_of("Bright")(torch.from_numpy(levels)[None])
    order = detected["scores"].argsort(descending=True, stable=True)
    names = ("red", "green", "blue")
    return [
        (names[int(detected["labels"][place])], detected["boxes"][place].tolist(), float(detected["scores"][place]))
        for place in order
    ]


def check_detector(signature: dict[str, Any], ask: Any) -> None:
    """Pictures with no, some and other numbers of objects, in one request, get the objects of each alone."""
    assert signature["max_batch"] == 1
    assert [tensor["shape"][:1] for tensor in signature["outputs"]] == [["batch"]] * 3
    pictures = [picture(seed) for seed in range(4)]
    for prediction, (_, levels) in zip(ask([sent for sent, _ in pictures]), pictures, strict=True):
        expected = expected_objects(levels)
        assert [entry["label"] for entry in prediction["objects"]] == [label for label, _, _ in expected]
        assert [entry["box"] for entry in prediction["objects"]] == [box for _, box, _ in expected]
        scores = [entry["score"] for entry in prediction["objects"]]
        assert scores == pytest.approx([score for _, _, score in expected], abs=1e-5)
    counts = {len(expected_objects(levels)) for _, levels in pictures}
    assert 0 in counts
    assert len(counts) > 2


def test_a_detector_that_gives_a_mapping_for_each_picture_is_taken_as_it_is(imported, tmp_path):
    (tmp_path / "detector.py").write_text(DETECTOR)
    (tmp_path / "rows").mkdir()
    for seed in range(12):
        (tmp_path / "rows" / f"{seed}.png").write_bytes(base64.b64decode(picture(seed)[0]))
    signature, printed, ask = imported("detector.py:build", *OPTIONS, *SIZE, "--rows", "rows")
    assert printed["proof"] == "parity"
    check_detector(signature, ask)


@pytest.mark.parametrize(("name", "shape"), [("Batched", (1, 3, HEIGHT, WIDTH)), ("Unbatched", (3, HEIGHT, WIDTH))])
def test_a_graph_whose_boxes_have_no_batch_is_taken_and_its_picture_may_have_none(imported, tmp_path, name, shape):
    free = {output: {0: "count"} for output in ("boxes", "labels", "scores")}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module_of(name),
            (torch.rand(shape),),
            tmp_path / "detector.onnx",
            dynamo=False,
            input_names=["images"],
            output_names=list(free),
            dynamic_axes=free,
        )
    signature, _, ask = imported("detector.onnx", *OPTIONS, "--draft")
    check_detector(signature, ask)


class Fixed(torch.nn.Module):
    """A classifier whose graph has the batch of 1 baked in."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return scores of three labels."""
        scores: torch.Tensor = self.layer(x.reshape(1, -1))
        return scores


@pytest.mark.parametrize("form", ["legacy", "dynamo", "program"])
def test_a_graph_with_a_fixed_batch_of_one_answers_rows_one_by_one(imported, tmp_path, form):
    module, example = Fixed().eval(), (torch.rand(1, 2, 3),)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        if form == "program":
            torch.export.save(torch.export.export(module, example), tmp_path / "net.pt2")
        else:
            torch.onnx.export(module, example, tmp_path / "net.onnx", dynamo=form == "dynamo", input_names=["x"])
    source, trust = ("net.pt2", ("--trust",)) if form == "program" else ("net.onnx", ())
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"input": {row}}}\n' for row in rows(40)))
    signature, printed, ask = imported(source, "--labels", "a,b,c", "--rows", "rows.jsonl", *trust)
    assert (signature["max_batch"], printed["proof"]) == (1, "parity")
    with torch.inference_mode():
        expected = [int(module(torch.tensor([row])).argmax()) for row in rows(5)]
    assert [prediction["label"] for prediction in ask(rows(5))] == ["abc"[index] for index in expected]
    assert len(set(expected)) > 1


def rows(count: int) -> list[Any]:
    values: list[Any] = np.random.default_rng(1).normal(size=(count, 2, 3)).round(3).tolist()
    return values


def test_a_graph_that_only_states_a_batch_of_one_still_runs_batches(imported, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(torch.nn.Linear(3, 2), (torch.rand(1, 3),), tmp_path / "net.onnx", dynamo=False)
    signature, _, _ = imported("net.onnx", "--draft")
    assert signature["max_batch"] == 16


def test_a_module_that_mixes_rows_is_still_refused(tmp_path, monkeypatch, capsys):
    code = "import torch\n\n\nclass Mix(torch.nn.Module):\n    def forward(self, x):\n        return x - x.mean(0)\n"
    (tmp_path / "net.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    words = ("import", "net.py:Mix", "net", "--tensor", "x=float32[3]", "--draft")
    status, _, err = run(*words, monkeypatch=monkeypatch, capsys=capsys)
    assert (status, "the module mixes rows" in err) == (1, True)
