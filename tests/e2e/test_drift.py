"""Every real model is watched: rows like those of its proof raise no alarm, and others do."""

from __future__ import annotations

import base64
import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnxserve.archive import open_archive
from onnxserve.archive.proof import proof_rows
from tests.helpers import plain_http
from tests.helpers.observed import Samples, samples
from tests.helpers.photos import saved
from tests.helpers.real_models import IMPORTED, archive_of
from tests.helpers.serving import Serving
from tests.helpers.sounds import saved as sound

ROWS = 64  # of a request, which is the most
REQUESTS = 25  # have all rows of a proof; a window takes some more
PAUSE_S = 0.055  # a worker measures one batch in 50 ms
DEADLINE_S = 300
WINDOWS, ALARMS = "onnxserve_drift_windows_total", "onnxserve_drift_alarms_total"
OTHERS = 200  # rows, since equal ones hardly count


def almost_white(number: int) -> str:
    """Return a white image but for one pixel, which has another place or level in each."""
    image = Image.new("RGB", (8, 8), "white")
    image.putpixel((number % 8, number // 8 % 8), (255, 255, 200 + number // 64))
    return base64.b64encode(saved(image)).decode()


def almost_loud(number: int) -> str:
    return base64.b64encode(sound(np.full(400, 0.9 - number / 10_000), 8000)).decode()


# Rows of each model, by their numbers, that its proof has none like.
OTHER: Mapping[str, Callable[[int], Any]] = {
    "minilm": lambda number: f"ride {number}",
    "cross": lambda number: [f"ride {number}", "ride"],
    "premises": lambda number: ["film " * 12 + str(number), "film"],
    "residual": almost_white,
    "file-types": lambda number: base64.b64encode(bytes([number]) + bytes(range(256)) * 8).decode(),
    "credit": lambda number: {"amount": 9e5 + number, "plan": "team", "member": True, "joined": "2031-01-01"},
    "detector": almost_white,
    "sound-classifier": almost_loud,
    "recurrent": lambda number: "bad bad bad " + " ".join("bad" if number >> bit & 1 else "worse" for bit in range(8)),
    "old": almost_white,
    "discs": almost_white,
}


def page(server: Serving) -> Samples:
    return samples(plain_http.get(f"{server.console}/metrics", timeout=30).raise_for_status().text)


def of_model(counts: Samples, metric: str, model: str) -> float:
    return sum(value for (name, *labels), value in counts.items() if name == metric and labels[:1] == [model])


def flood(server: Serving, rows: Mapping[str, Sequence[Any]]) -> Samples:
    """Send rows of each model, in turns, until one more window of each was judged; return the counters."""
    before = page(server)
    turns = {model: requests(known) for model, known in rows.items()}
    deadline = time.monotonic() + DEADLINE_S
    while True:
        counts = page(server)
        if not (
            open_ := {model for model in rows if of_model(counts, WINDOWS, model) == of_model(before, WINDOWS, model)}
        ):
            return counts
        assert time.monotonic() < deadline, open_
        for _ in range(4):
            began = time.monotonic()
            for model in open_:
                server.predictions(model, next(turns[model]))
            time.sleep(max(0.0, began + PAUSE_S - time.monotonic()))


def requests(known: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield lists of ROWS rows of which few differ: a handler computes equal rows once, and counts each of them."""
    different, turns = min(ROWS, math.ceil(len(known) / REQUESTS)), itertools.cycle(known)
    while True:
        rows = list(itertools.islice(turns, different))
        yield [row for row in rows for _ in range(ROWS // different)]


def proof_of(archive: Path) -> list[Any]:
    with open_archive(archive) as opened:
        return [row.input for row in proof_rows(opened.read("proof.jsonl"))]


@pytest.mark.timeout(1200)  # the first test of a session makes the archives
def test_rows_like_those_of_the_proof_raise_no_alarm_and_others_do(real_models, artefacts):
    assert OTHER.keys() == IMPORTED.keys()
    before = page(real_models)
    usual = flood(real_models, {model: proof_of(archive_of(artefacts, model)) for model in OTHER})
    for model in OTHER:
        assert of_model(usual, ALARMS, model) == of_model(before, ALARMS, model), model
    unusual = flood(real_models, {model: list(map(row, range(OTHERS))) for model, row in OTHER.items()})
    for model in OTHER:
        assert of_model(unusual, ALARMS, model) > of_model(usual, ALARMS, model), model


def test_every_one_of_them_was_proven_by_the_command_that_made_it(real_models):
    listed = plain_http.get(f"{real_models.console}/console/data/models.json", timeout=30).json()["models"]
    proofs = {version["name"]: version["evidence"]["proof"] for version in listed if version["name"] in IMPORTED}
    assert proofs == dict.fromkeys(IMPORTED, "parity")
    assert {version["drift"] for version in listed if version["name"] in IMPORTED} == {"judged"}
