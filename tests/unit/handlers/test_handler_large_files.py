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
from onnxserve_handlers.inputs import MOST_WHOLE, audio_container, audio_decoding
from onnxserve_handlers.inputs.image import ImageOptions
from onnxserve_handlers.signature import FILE_BYTES
from tests.helpers.inference import JSON, send
from tests.helpers.sounds import saved
from tests.helpers.task_models import MODELS

SIDE = 100  # pixels
RATE, CHANNELS = 96_000, 8


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def picture(width: int, height: int, kind: str = "PNG") -> str:
    stream = io.BytesIO()
    Image.new("L", (width, height)).save(stream, kind)
    return encoded(stream.getvalue())


def sound(seconds: float, rate: int = RATE, channels: int = CHANNELS) -> str:
    return encoded(saved(np.zeros((int(rate * seconds), channels)), rate, "FLAC"))


LARGE = {"detection": picture(SIDE, SIDE), "multilabel": sound(0.9)}
SMALL = {"detection": picture(SIDE // 10, SIDE // 10), "multilabel": sound(0.1, 8000, 1)}
MOST = {"detection": MOST_WHOLE, "multilabel": 4}  # a large sound is 1.8 of the largest size


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


def test_one_pixel_decides(tmp_path):
    handler = MODELS["detection"].handler(tmp_path / "detection", max_bytes=10**6, max_pixels=SIDE**2)
    full, dot = [LARGE["detection"]] * MOST_WHOLE, picture(1, 1)
    fitting = [*full[1:], picture(SIDE, SIDE - 1), dot]
    assert [status for status, _, _ in send(handler, request_of(*fitting), request_of(*full, dot))] == [200, 413]


def test_eight_photos_of_a_phone_fit_in_the_default_limits(tmp_path):
    handler = MODELS["detection"].handler(tmp_path / "detection", max_bytes=FILE_BYTES)
    assert handler.signature.input.max_pixels == ImageOptions(height=1, width=1).max_pixels  # type: ignore[attr-defined]
    photo = picture(4032, 3024, "JPEG")
    assert [status for status, _, _ in send(handler, request_of(*[photo] * 8), request_of(*[photo] * 11))] == [200, 413]


@pytest.mark.parametrize("name", ["", "image", "b64"])
def test_each_file_of_a_request_is_decoded_once_from_base64(tmp_path, monkeypatch, name):
    handler = MODELS["detection"].handler(tmp_path / "detection", max_bytes=10**6)
    texts, plain = list[str](), base64.b64decode

    def note(text: Any, **options: Any) -> bytes:
        texts.append(text)
        return plain(text, **options)

    rows = [picture(8 + number, 8) for number in range(5)]
    sent = [{name: row} if name else row for row in rows]
    alone = [json.loads(send(handler, request_of(row))[0][2])["predictions"][0] for row in rows]
    monkeypatch.setattr("onnxserve_handlers.inputs.base64.b64decode", note)
    [(status, _, body)] = send(handler, (json.dumps({"instances": sent}).encode(), {"content-type": JSON}))
    assert (status, json.loads(body)["predictions"]) == (200, alone)
    assert texts == rows


def test_base64_of_base64_is_refused_however_many_rows_there_are(handler, task):
    twice = encoded(SMALL[task].encode())
    for rows in ([twice], [twice, twice]):
        [(status, _, body)] = send(handler, request_of(*rows))
        assert (status, json.loads(body)["error"]["where"]) == (400, "instances[0]")


def test_a_file_that_cant_be_read_is_its_rows_error(handler, task):
    status, _, body = send(handler, request_of(SMALL[task], "AAAA", "no base64!"))[0]
    error = json.loads(body)["error"]
    assert (status, error["where"]) == (400, "instances[1]")


def test_each_sound_of_a_request_is_checked_for_its_end_once(tmp_path, monkeypatch):
    handler = MODELS["multilabel"].handler(tmp_path / "multilabel", max_bytes=10**6)
    places, plain = list[str](), audio_container.is_open_ended

    def note(content: bytes, where: str) -> bool:
        places.append(where)
        return plain(content, where)

    monkeypatch.setattr(audio_decoding, "is_open_ended", note)
    assert send(handler, request_of(*[SMALL["multilabel"]] * 3))[0][0] == 200
    assert sorted(places) == ["instances[0]", "instances[1]", "instances[2]"]
