"""Image processors of transformers: size, cut, filter and normalisation by their configuration alone."""

from pathlib import Path
from typing import Any

import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.importing.outline import Outline
from tests.helpers.artefacts import write_pretrained

from .test_pretrained import CUT, LABELS, VIT, fields, outline_of


def image_outline(folder: Path, processor: dict[str, Any]) -> Outline:
    config = LABELS | {"architectures": ["ViTForImageClassification"]}
    return outline_of(write_pretrained(folder, config, preprocessor_config=processor))


def test_an_image_processor_that_stretches_is_read(tmp_path):
    config = LABELS | {"architectures": ["ViTForImageClassification"], "num_channels": 3}
    outline = outline_of(write_pretrained(tmp_path, config, preprocessor_config=VIT))
    facts = fields(outline, "input")
    assert (facts["kind"], facts["height"], facts["width"], facts["resize"]) == ("image", 32, 48, "stretch")
    assert (facts["interpolation"], facts["pixel_max"]) == ("bicubic", 1)
    assert (facts["mean"], facts["std"]) == ([0.5, 0.4, 0.3], [0.2, 0.2, 0.2])


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        ({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}, "do_center_crop": True}, 256),
        ({"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 224}, "crop_pct": 0.875}, 256),
        ({"feature_extractor_type": "ConvNextFeatureExtractor", "size": 224, "crop_pct": 0.875}, 256),
        (
            {"feature_extractor_type": "CLIPFeatureExtractor", "size": 224, "crop_size": 224, "do_center_crop": True},
            224,
        ),
        ({"image_processor_type": "LevitImageProcessor", **CUT}, 256),
        ({"image_processor_type": "PoolFormerImageProcessor", **CUT, "crop_pct": 0.95}, 235),
    ],
)
def test_an_image_processor_that_cuts_the_middle_is_read(tmp_path, processor, expected):
    config = LABELS | {"architectures": ["ResNetForImageClassification"]}
    outline = outline_of(write_pretrained(tmp_path, config, preprocessor_config=processor))
    facts = fields(outline, "input")
    assert (facts["resize"], facts["height"], facts["shorter_side"]) == ("crop", 224, expected)


def test_a_size_that_follows_the_picture_is_asked_for(tmp_path):
    config = LABELS | {"architectures": ["DetrForObjectDetection"]}
    processor = VIT | {"size": {"shortest_edge": 800, "longest_edge": 1333}}
    outline = outline_of(write_pretrained(tmp_path, config, preprocessor_config=processor))
    assert outline.get("output.task") == "detection"
    assert outline.get("source_outputs") == ["pred_boxes", "logits"]
    assert outline.get("input.height") is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"do_center_crop": True, "crop_size": {"height": 16, "width": 16}}, "cuts the middle of 16 x 16"),
        ({"do_resize": False}, "do_resize is off"),
        ({"keep_aspect_ratio": True}, "keep their proportions"),
        ({"resample": 5}, "resample = 5 is a filter that isn't taken"),
        ({"rescale_factor": None}, "rescale_factor = None isn't a positive number"),
        ({"image_std": None}, "has no image_mean and image_std"),
    ],
)
def test_preprocessing_that_no_field_says_is_asked_for(tmp_path, change, why):
    with pytest.raises(DefinitionError, match=why):
        image_outline(tmp_path, VIT | change).check()


@pytest.mark.parametrize(
    ("change", "mean", "std"),
    [
        ({"rescale_factor": 1 / 127.5, "rescale_offset": True}, [191.25, 178.5, 165.75], [25.5, 25.5, 25.5]),
        ({"rescale_offset": True, "do_normalize": False}, 255.0, 255.0),
        ({"do_rescale": False, "image_mean": [127.0], "image_std": [64.0]}, [127.0], [64.0]),
    ],
)
def test_a_processor_that_multiplies_pixels_otherwise_has_mean_and_std_of_whole_pixels(tmp_path, change, mean, std):
    facts = fields(image_outline(tmp_path, VIT | change), "input")
    assert facts["pixel_max"] == 255
    assert facts["mean"] == pytest.approx(mean)
    assert facts["std"] == pytest.approx(std)


def test_a_processor_that_stretches_to_a_square_and_cuts_its_middle_is_read(tmp_path):
    deit = VIT | {"size": {"height": 256, "width": 256}, "do_center_crop": True, "crop_size": 224}
    facts = fields(image_outline(tmp_path, deit), "input")
    assert (facts["resize"], facts["shorter_side"], facts["height"], facts["width"]) == ("stretch", 256, 224, 224)


def test_a_size_that_is_a_number_is_both_sides(tmp_path):
    facts = fields(image_outline(tmp_path, VIT | {"size": 24}), "input")
    assert (facts["height"], facts["width"], facts["resize"]) == (24, 24, "stretch")


def test_a_processor_that_turns_the_channels_round_is_read(tmp_path):
    processor = {"image_processor_type": "MobileViTImageProcessor", **CUT}
    facts = fields(image_outline(tmp_path, processor), "input")
    assert (facts["channel_order"], facts["mean"], facts["std"], facts["pixel_max"]) == ("BGR", 0.0, 1.0, 1)


def test_an_efficientnet_divides_by_its_deviations_twice(tmp_path):
    facts = fields(image_outline(tmp_path, VIT | {"image_processor_type": "EfficientNetImageProcessor"}), "input")
    assert facts["std"] == pytest.approx([0.04, 0.04, 0.04])
    assert facts["mean"] == VIT["image_mean"]


def test_logits_of_pixels_are_interpolated_to_the_picture_as_transformers_does(tmp_path):
    config = LABELS | {"architectures": ["SegformerForSemanticSegmentation"]}
    outline = outline_of(write_pretrained(tmp_path, config, preprocessor_config=VIT))
    assert fields(outline, "output") == {"task": "segmentation", "labels": ["bad", "good"], "interpolation": "bilinear"}
