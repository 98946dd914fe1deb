"""The preprocessing of a converted image classifier, beside torchvision's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from onnxserve.migrate.handlers import NAMES, image_kind, picture
from onnxserve.migrate.stock import StockArchive, read_stock
from onnxserve_handlers.inputs.image import ImageOptions
from tests.helpers.fakes import with_fake_session
from tests.helpers.kinds import ImageClassifier
from tests.helpers.photos import imagenet, saved, scene
from tests.helpers.stock import MANIFEST, document, write_zip


@pytest.fixture
def stock(tmp_path) -> StockArchive:
    manifest = document("net", "image_classifier", serializedFile="net.pt")
    members = {"net.pt": b"", NAMES: b'{"0": "cat", "1": "dog"}', MANIFEST: json.dumps(manifest).encode()}
    return read_stock(write_zip(Path(tmp_path) / "net.mar", members))


@pytest.fixture
def handler(stock) -> Any:
    """A handler with the options of the definition."""
    options = msgspec.convert(image_kind(stock, None).input, ImageOptions)
    return with_fake_session(ImageClassifier(), **msgspec.structs.asdict(options))


@pytest.mark.parametrize("size", [(640, 427), (427, 640), (256, 256), (57, 301), (301, 57), (1023, 769), (224, 225)])
def test_photos_of_odd_sizes_become_torchvisions_tensors(handler, size):
    photo = scene(*size)
    tensors = handler.tensors([handler.check(saved(photo), "row")])
    assert tensors["image"].shape == (1, 3, 224, 224)
    np.testing.assert_allclose(tensors["image"][0], imagenet(photo), atol=1e-6)


def test_the_picture_that_stands_for_an_example_is_one_that_the_handler_reads(handler):
    assert handler.check(picture(), "row").shape == (224, 224, 3)
