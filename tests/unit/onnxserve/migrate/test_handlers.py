"""The preprocessing of a converted image classifier, beside torchvision's, which is written out here."""

from __future__ import annotations

import importlib.util
import io
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnxserve.migrate.handlers import TEMPLATE, picture
from onnxserve_handlers.inputs.image import ImageOptions
from onnxserve_handlers.signature import Signature
from onnxserve_handlers.tasks.classification import ClassificationOptions

MODULE = "onnxserve_handlers.custom_imagenet"


def torchvision_transform(image: Image.Image) -> np.ndarray:
    """Resize(256), CenterCrop(224), ToTensor and Normalize of torchvision 0.21 for a PIL image in mode RGB."""
    width, height = image.size
    if width <= height:
        scaled = image.resize((256, int(256 * height / width)), Image.Resampling.BILINEAR)
    else:
        scaled = image.resize((int(256 * width / height), 256), Image.Resampling.BILINEAR)
    top, left = round((scaled.height - 224) / 2.0), round((scaled.width - 224) / 2.0)
    pixels = np.asarray(scaled.crop((left, top, left + 224, top + 224)), np.float32).transpose(2, 0, 1) / 255
    mean, std = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
    return (pixels - mean[:, None, None]) / std[:, None, None]


@pytest.fixture
def handler(tmp_path, monkeypatch) -> Any:
    """The handler as an export packages it, among the modules of the handlers."""
    path = tmp_path / "custom_imagenet.py"
    path.write_bytes(TEMPLATE.read_bytes())
    spec = importlib.util.spec_from_file_location(MODULE, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, MODULE, module)
    spec.loader.exec_module(module)
    made = module.ImageNet()
    options = ImageOptions(height=224, width=224)
    labels = ClassificationOptions(labels=("cat", "dog"))
    made.signature = Signature("photo", "1.1", "custom_imagenet:ImageNet", "fp32", options, labels, (), (), 4)
    made.prepare()
    return made


@pytest.mark.parametrize("size", [(640, 427), (427, 640), (256, 256), (57, 301), (301, 57), (1023, 769), (224, 225)])
def test_photos_of_odd_sizes_become_torchvisions_tensors(handler, size):
    noise = np.random.default_rng(3).integers(0, 256, (*size[::-1], 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "PNG")
    tensors = handler.tensors([handler.check(stream.getvalue(), "row")])
    expected = torchvision_transform(Image.fromarray(noise))
    assert tensors["image"].shape == (1, 3, 224, 224)
    np.testing.assert_allclose(tensors["image"][0], expected, atol=1e-6)


def test_the_picture_that_stands_for_an_example_is_one_that_the_handler_reads(handler):
    assert handler.check(picture(), "row").shape == (224, 224, 3)
