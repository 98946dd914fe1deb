"""Where the graph's pixels lie in the client's picture, for boxes and for masks."""

from __future__ import annotations

import io

import msgspec
import numpy as np
import pytest
from PIL import Image

from onnxserve_handlers.inputs.image import ImageOptions
from onnxserve_handlers.inputs.image_placement import Frame, frames
from tests.helpers.fakes import signature
from tests.helpers.kinds import ImageClassifier

STRETCHED = Frame(200, 100, 20, 20, 10.0, 5.0)
BARS = Frame(200, 100, 20, 20, 10.0, 10.0, 0.0, -50.0)  # bars of 5 pixels above and below


def test_boxes_go_back_to_the_picture_and_end_at_its_edges():
    boxes = np.array([[0, 0, 20, 20], [5, 5, 10, 10], [-3, 0, 25, 1]])
    assert STRETCHED.to_source_pixels(boxes).tolist() == [[0, 0, 200, 100], [50, 25, 100, 50], [0, 0, 200, 5]]
    assert BARS.to_source_pixels(np.array([[0, 5, 20, 15]])).tolist() == [[0, 0, 200, 100]]


def test_centres_of_the_pictures_pixels_are_found_in_an_output_of_any_size():
    rows, columns = STRETCHED.centres_in(20, 20)
    assert (rows[:2].tolist(), rows[-1]) == ([0.1, 0.3], pytest.approx(19.9))
    assert (columns[:2].tolist(), columns[-1]) == ([0.05, 0.15], pytest.approx(19.95))
    half, quarter = STRETCHED.centres_in(10, 5)
    np.testing.assert_allclose(half, rows / 2)
    np.testing.assert_allclose(quarter, columns / 4)
    barred, _ = BARS.centres_in(20, 20)
    assert (barred[0], barred[-1]) == (pytest.approx(5.05), pytest.approx(14.95))


def test_frames_are_read_from_json_and_other_origins_are_none():
    document = msgspec.json.decode(msgspec.json.encode([BARS]))
    assert frames(document) == frames([BARS]) == [BARS]
    assert frames(None) is None
    assert frames([[0, 5]]) is None


@pytest.mark.parametrize("size", [(200, 100), (30, 77)])
def test_an_image_knows_its_size_upright(size):
    handler = ImageClassifier()
    handler.signature = signature(ImageOptions(height=20, width=10))
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new("RGB", size).save(stream, "JPEG", exif=exif)
    [frame] = frames(handler.origins([handler.check(stream.getvalue(), "row")])) or []
    height, width = size
    assert (frame.width, frame.height) == (width, height)
    assert frame.to_source_pixels(np.array([[0, 0, 10, 20]])).tolist() == [[0, 0, width, height]]
