"""An answer doesn't depend on who asks at the same time, on the rows beside it, or on the worker that computed it."""

from __future__ import annotations

import base64
import io
import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from PIL import Image

from onnxserve.archive import read_signature
from tests.helpers.torchserve import ROOT, Running
from tests.helpers.waiting import wait_for

CLIENTS = 12
OVERLOADED = 503
SIZES = (2, 3, 5, 8, 16, 33, 64)
Make = Callable[[random.Random, list[Any]], Any]


def text(draws: random.Random, inputs: list[Any]) -> str:
    """Words of golden rows, from one to a hundred."""
    words = " ".join(inputs).split()
    return " ".join(draws.choices(words, k=draws.choice((1, 2, 3, 7, 20, 50, 100))))


def picture(draws: random.Random, inputs: list[Any]) -> str:
    """A golden picture with noise, as base64 of a PNG."""
    image = Image.open(io.BytesIO(base64.b64decode(draws.choice(inputs)))).convert("L")
    noisy = image.point([min(255, max(0, level + draws.randint(-20, 20))) for level in range(256)])
    stream = io.BytesIO()
    noisy.save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def numbers(draws: random.Random, inputs: list[Any]) -> list[float]:
    """A golden row whose numbers are a little other ones."""
    return [number * draws.uniform(0.8, 1.2) for number in draws.choice(inputs)]


def rows_of(model: str, make: Make, count: int) -> list[Any]:
    lines = (ROOT / "models" / model / "golden.jsonl").read_text().splitlines()
    inputs = [json.loads(line)["input"] for line in lines]
    draws = random.Random(7)
    return [make(draws, inputs) for _ in range(count)]


def worker_seconds(server: Running, model: str) -> list[float]:
    """The processor time of each worker of a model."""
    [version] = server.get(server.settings.management, f"/models/{model}").json()
    times = (psutil.Process(worker["pid"]).cpu_times() for worker in version["workers"])
    return [time.user + time.system for time in times]


def predictions(server: Running, model: str, body: bytes) -> list[Any]:
    answers = list[httpx.Response]()

    def is_answered() -> bool:  # a busy machine refuses some
        answers.append(server.post(model, body))
        return answers[-1].status_code != OVERLOADED

    wait_for(is_answered)
    assert answers[-1].status_code == 200, answers[-1].text
    every: list[Any] = answers[-1].json()["predictions"]
    return every


def most_rows(model: str) -> int:
    """How many rows a request may have."""
    return int(read_signature(archive_of(model))["input"]["max_rows"])


def archive_of(model: str) -> Path:
    return ROOT / "model_store" / f"{model}-1.0.0.mar"


def assert_same(model: str, left: list[Any], right: list[Any]) -> None:
    """Equal to the last digit where the export measured no shift, else nearly."""
    evidence = json.loads(archive_of(model).with_suffix(".evidence.json").read_bytes())["summary"]
    if evidence["batch_shift"] == 0:
        assert left == right
    else:
        assert [row["label"] for row in left] == [row["label"] for row in right]
        assert [row["score"] for row in left] == pytest.approx([row["score"] for row in right], abs=1e-5)


@pytest.mark.parametrize(("model", "make"), [("sentiment", text), ("digits", picture), ("segment", numbers)])
def test_an_answer_is_the_same_alone_in_any_company_and_from_either_worker(demo: Running, model: str, make: Make):
    rows = rows_of(model, make, 128)
    bodies = [json.dumps({"instances": [row]}).encode() for row in rows]
    alone = [predictions(demo, model, body)[0] for body in bodies]
    before = worker_seconds(demo, model)
    for seed in range(3):
        order = random.Random(seed).sample(range(len(rows)), len(rows))
        with ThreadPoolExecutor(CLIENTS) as pool:
            answers = list(pool.map(lambda place: predictions(demo, model, bodies[place])[0], order))
        assert_same(model, answers, [alone[place] for place in order])
    after = worker_seconds(demo, model)
    assert all(later > earlier for earlier, later in zip(before, after, strict=True)), "a worker had nothing to do"
    for seed, size in enumerate(SIZES):
        places = random.Random(seed).sample(range(len(rows)), min(size, most_rows(model)))
        body = json.dumps({"instances": [rows[place] for place in places]}).encode()
        assert_same(model, predictions(demo, model, body), [alone[place] for place in places])
