"""Image rows."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from handlers.image import ImageClassifier
from tests.fakes import ask, ask_json, with_fake_session


def picture(size=(4, 4), colour=(255, 0, 0), kind="PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, kind)
    return stream.getvalue()


@pytest.fixture
def handler() -> ImageClassifier:
    made = ImageClassifier()
    with_fake_session(made, height=2, width=3, max_pixels=100, max_bytes=10_000)
    return made


def test_raw_bytes_undeclared_bytes_and_base64_give_the_same_answer(handler):
    content = picture()
    encoded = base64.b64encode(content).decode()
    answers = ask(handler, (content, "image/png"), (content, ""), (content, "application/octet-stream"))
    answers += ask_json(handler, {"image": encoded}, encoded, {"instances": [{"b64": encoded}]})
    assert [status for status, _ in answers] == [200] * 6
    assert all(answer == answers[0] for answer in answers)


def test_pixels_are_scaled_and_laid_out_channels_first(handler):
    row = handler.tensors([handler.check(picture(), "x")])["image"][0]
    assert row.shape == (3, 2, 3)
    np.testing.assert_allclose(row[0], (255 - 127) / 128)
    np.testing.assert_allclose(row[1:], (0 - 127) / 128)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_every_named_format_is_read(handler, kind):
    assert ask(handler, (picture(kind=kind), ""))[0][0] == 200


def test_too_many_pixels_are_413_before_they_are_decoded(handler):
    assert ask(handler, (picture((20, 20)), "image/png"))[0][0] == 413


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n", b"GIF89a", picture()[:40], picture(kind="JPEG")[:200]])
def test_a_damaged_image_is_400(handler, content):
    assert ask(handler, (content, "image/png"))[0][0] == 400


@pytest.mark.parametrize(
    ("document", "status"), [("not base64!", 400), (3, 422), ({"url": "http://x"}, 422), ("", 400)]
)
def test_what_is_no_image_is_refused(handler, document, status):
    assert ask_json(handler, document)[0][0] == status
