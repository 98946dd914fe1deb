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


def test_a_mask_gets_the_pictures_size_and_keeps_its_shares():
    mask = np.zeros((20, 20), np.uint8)
    mask[:, 10:] = 1
    stretched = STRETCHED.to_source_mask(mask, 255)
    assert stretched.shape == (100, 200)
    assert stretched[:, :100].max() == 0
    assert stretched[:, 100:].min() == 1
    barred = BARS.to_source_mask(np.repeat(np.arange(20, dtype=np.uint8)[:, None], 20, axis=1), 255)
    assert barred[[0, -1], 0].tolist() == [5, 14]


def test_pixels_that_the_graph_did_not_see_are_marked():
    cut = Frame(40, 20, 20, 20, 1.0, 1.0, 10.0, 0.0)  # the middle of the picture
    mask = cut.to_source_mask(np.ones((20, 20), np.uint8), 255)
    assert (mask[:, :10] == 255).all()
    assert (mask[:, 10:30] == 1).all()
    assert (mask[:, 30:] == 255).all()


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
