"""What the options of images make of a row, and which of them contradict each other."""

import re

import numpy as np
import pytest
from PIL import Image

from onnxserve_handlers.inputs.image import ImageOptions
from tests.helpers.fakes import with_fake_session
from tests.helpers.kinds import ImageClassifier
from tests.helpers.photos import saved

COLOUR = np.random.default_rng(7).integers(0, 255, (4, 6, 3)).astype(np.uint8)


def tensor(content: bytes, **options) -> np.ndarray:
    handler = with_fake_session(ImageClassifier(), **options)
    [row] = handler.tensors([handler.check(content, "x")])["image"]
    return np.array(row)


SIZE = {"height": 4, "width": 6}


def test_mean_and_std_are_one_number_or_one_for_each_channel():
    content = saved(Image.fromarray(COLOUR))
    each = tensor(content, **SIZE, mean=(10, 20, 30), std=(2, 4, 8))
    np.testing.assert_allclose(each, ((COLOUR - [10, 20, 30]) / [2, 4, 8]).transpose(2, 0, 1), rtol=1e-6)
    alike = tensor(content, **SIZE, mean=0.5, std=0.25, pixel_max=1)
    np.testing.assert_allclose(alike, ((COLOUR / 255 - 0.5) / 0.25).transpose(2, 0, 1), rtol=1e-4, atol=1e-6)


def test_channels_axes_and_elements_have_the_stated_order_and_type():
    content = saved(Image.fromarray(COLOUR))
    options = SIZE | {"mean": (1, 2, 3), "std": 1}
    last = tensor(content, **options, layout="NHWC")
    np.testing.assert_array_equal(last, COLOUR.astype(np.float32) - np.array([1, 2, 3], np.float32))
    np.testing.assert_array_equal(tensor(content, **options), last.transpose(2, 0, 1))
    blue_first = tensor(content, **options, layout="NHWC", channel_order="BGR")
    np.testing.assert_array_equal(blue_first, COLOUR[..., ::-1].astype(np.float32) - np.array([1, 2, 3], np.float32))
    plain = tensor(content, **SIZE, dtype="uint8", layout="NHWC")
    assert plain.dtype == np.uint8
    np.testing.assert_array_equal(plain, COLOUR)


@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_interpolation_is_pillows_of_that_name(name):
    small = tensor(saved(Image.fromarray(COLOUR)), height=3, width=5, interpolation=name, dtype="uint8", layout="NHWC")
    expected = Image.fromarray(COLOUR).resize((5, 3), Image.Resampling[name.upper()])
    np.testing.assert_array_equal(small, np.asarray(expected))


def test_a_letterbox_keeps_the_whole_image_between_bars():
    options = {"resize": "letterbox", "dtype": "uint8", "layout": "NHWC", "interpolation": "nearest"}
    tall = tensor(saved(Image.fromarray(COLOUR)), height=8, width=6, **options)
    np.testing.assert_array_equal(tall[2:6], COLOUR)
    assert (tall[[0, 1, 6, 7]] == 114).all()
    wide = tensor(saved(Image.fromarray(COLOUR)), height=4, width=12, bars=(1, 2, 3), **options)
    np.testing.assert_array_equal(wide[:, 3:9], COLOUR)
    assert (wide[:, [0, 1, 2, 9, 10, 11]] == [1, 2, 3]).all()


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"mean": (1, 2)}, "mean has 2 numbers for 3 channels"),
        ({"std": (1, 2, 0)}, "std must not be 0"),
        ({"mean": (0.4, 0.5, 0.4)}, "mean and std look like numbers for pixels from 0 to 1: set pixel_max = 1"),
        ({"pixel_max": 1}, "mean = 127 is beyond pixel_max = 1"),
        ({"bars": (1, 2)}, "bars has 2 numbers"),
        ({"channels": 1, "channel_order": "BGR"}, "needs channels = 3"),
        ({"shorter_side": 9, "resize": "letterbox"}, 'shorter_side needs resize = "crop" or "stretch"'),
        ({"shorter_side": 3, "resize": "crop"}, "shorter_side = 3 is less than the cut, 6 x 4"),
        ({"shorter_side": 20, "resize": "crop", "max_pixels": 99}, "max_pixels = 99 is less than shorter_side squared"),
    ],
)
def test_options_that_contradict_each_other_are_named(options, fault):
    with pytest.raises(ValueError, match=re.escape(fault)):
        ImageOptions(**SIZE | options)
