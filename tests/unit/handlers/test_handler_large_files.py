"""Small files that stand for many pixels or samples can't make a request so long that its neighbours time out."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inputs import MOST_WHOLE
from tests.helpers.inference import JSON, send
from tests.helpers.sounds import saved
from tests.helpers.task_models import MODELS

SIDE = 100  # pixels
RATE, CHANNELS = 96_000, 8


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def picture(side: int) -> str:
    stream = io.BytesIO()
    Image.new("L", (side, side)).save(stream, "PNG")
    return encoded(stream.getvalue())


def sound(seconds: float, rate: int = RATE, channels: int = CHANNELS) -> str:
    return encoded(saved(np.zeros((int(rate * seconds), channels)), rate, "FLAC"))


LARGE = {"detection": picture(SIDE), "multilabel": sound(0.9)}
SMALL = {"detection": picture(SIDE // 10), "multilabel": sound(0.1, 8000, 1)}
MOST = {"detection": MOST_WHOLE, "multilabel": 2}  # a large sound is 1.8 of the largest size


@pytest.fixture(params=["detection", "multilabel"])
def task(request: Any) -> str:
    return str(request.param)


@pytest.fixture
def handler(task: str, tmp_path: Path) -> Handler:
    limits = {"max_pixels": SIDE**2} if task == "detection" else {}
    return MODELS[task].handler(tmp_path / task, max_bytes=10**6, **limits)


def request_of(*rows: str) -> tuple[bytes, dict[str, str]]:
    return json.dumps({"instances": rows}).encode(), {"content-type": JSON}


def test_a_request_of_too_many_large_files_is_refused_before_one_is_decoded(handler, task, monkeypatch):
    good = request_of(SMALL[task])
    alone = send(handler, good)[0]
    decoded, check = list[str](), handler.check

    def note(instance: Any, where: str) -> Any:
        decoded.append(where)
        return check(instance, where)

    monkeypatch.setattr(handler, "check", note)
    before, (status, _, body), after = send(handler, good, request_of(*[LARGE[task]] * (MOST[task] + 1)), good)
    assert (before, after) == (alone, alone)
    error = json.loads(body)["error"]
    assert (status, error["where"], error["fix"]) == (413, "instances", "send several requests")
    assert decoded == ["instances[0]"] * 2


def test_as_many_as_may_be_and_many_small_ones_are_answered(handler, task):
    requests = [request_of(*[LARGE[task]] * MOST[task]), request_of(*[SMALL[task]] * 40)]
    assert [status for status, _, _ in send(handler, *requests)] == [200, 200]


def test_a_file_that_cant_be_read_is_its_rows_error(handler, task):
    status, _, body = send(handler, request_of(SMALL[task], "AAAA", "no base64!"))[0]
    error = json.loads(body)["error"]
    assert (status, error["where"]) == (400, "instances[1]")
