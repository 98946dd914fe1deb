"""Pictures that an image processor of transformers cuts: the pixels that its own class gives."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnxserve_export.importing.outline import Outline
from onnxserve_export.importing.pretrained import read_pretrained
from tests.helpers.artefacts import write_pretrained
from tests.helpers.fakes import with_fake_session
from tests.helpers.kinds import ImageClassifier
from tests.helpers.photos import saved

LEVELS = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3], "resample": 3}
CLIP = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 16},
    "crop_size": {"height": 16, "width": 16},
}
DEIT = {
    "image_processor_type": "DeiTImageProcessor",
    "size": {"height": 19, "width": 19},
    "crop_size": {"height": 16, "width": 16},
}


@pytest.mark.parametrize("processor", [CLIP, DEIT])
@pytest.mark.parametrize("size", [(19, 16), (16, 23), (17, 16), (57, 48)])
def test_a_cut_of_an_odd_number_of_pixels_is_that_of_transformers(tmp_path, processor, size):
    transformers = pytest.importorskip("transformers")
    settings: dict[str, Any] = {**LEVELS, **processor, "do_center_crop": True}
    config = {"architectures": ["CLIPForImageClassification"], "model_type": "clip"}
    write_pretrained(tmp_path, config | {"id2label": {"0": "no", "1": "yes"}}, preprocessor_config=settings)
    picture = Image.fromarray(np.random.default_rng(5).integers(0, 256, (size[1], size[0], 3), np.uint8))
    expected = transformers.AutoImageProcessor.from_pretrained(tmp_path)(picture, return_tensors="np")["pixel_values"]
    outline = Outline("folder", {})
    read_pretrained(outline, tmp_path)
    facts = {name: fact.value for name, fact in outline.section("input") if name != "kind"}
    levels = {name: tuple(facts.pop(name)) for name in ("mean", "std")}
    handler = with_fake_session(ImageClassifier(), **facts, **levels)
    pixels = handler.tensors([handler.check(saved(picture), "x")])["image"]
    np.testing.assert_allclose(pixels, expected, atol=1e-5)
