"""Segmentation: the label of each pixel, whatever form the output has, in the client's picture."""

from __future__ import annotations

import io
from base64 import b64decode
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inputs.image import ImageInput, ImageOptions, ImageRow
from onnxserve_handlers.inputs.image_placement import Frame
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.registry import task_alone, task_for
from onnxserve_handlers.signature import Signature
from onnxserve_handlers.tasks.segmentation import Segmentation, SegmentationOptions

LABELS = ("ground", "tree")
MASK = np.array([[0, 0, 1], [0, 1, 1]], np.uint8)
PLANES = np.stack([1.0 - MASK, MASK.astype(float)])[None].astype(np.float32)
RUNS = {
    "ground": {"size": [2, 3], "counts": [0, 3, 3]},
    "tree": {"size": [2, 3], "counts": [3, 3]},
}


def segmentation(**options: Any) -> Any:
    return task_for(SegmentationOptions(labels=LABELS, **options))


@pytest.mark.parametrize(
    ("options", "array"),
    [
        ({}, PLANES),
        ({"channels_last": True}, PLANES.transpose(0, 2, 3, 1)),
        ({}, MASK[None].astype(np.int64)),
        ({}, (MASK[None, None] - 0.5).astype(np.float32)),
        ({"threshold": 0.5}, MASK[None, None].astype(np.float32)),
    ],
)
def test_every_form_of_output_gives_the_same_mask(options, array):
    task = segmentation(**options)
    assert task.outputs_fault(Outputs(mask=array)) == ""
    [prediction] = task.predictions(Outputs(mask=array), None)
    assert prediction == {"shares": {"ground": 0.5, "tree": 0.5}, "masks": RUNS}


def test_a_label_without_a_pixel_has_a_share_and_no_mask():
    [prediction] = segmentation().predictions(Outputs(mask=np.zeros((1, 2, 3), np.int64)), None)
    assert prediction["shares"] == {"ground": 1, "tree": 0}
    assert list(prediction["masks"]) == ["ground"]


class Segmenter(ImageInput, Segmentation, Handler):
    """Images to masks."""


def answer(**options: Any) -> dict[str, Any]:
    row = np.zeros((2, 3, 3), np.uint8).view(ImageRow)
    row.source_size = (30, 10)
    handler, output = Segmenter(), SegmentationOptions(labels=LABELS, mask="png", **options)
    handler.signature = Signature("", "", "", "", ImageOptions(height=2, width=3), output, (), (), 1)
    [prediction] = handler.predictions(Outputs(mask=PLANES), [row])
    assert isinstance(prediction, dict)
    return prediction


def test_a_mask_has_the_size_of_the_picture_or_of_the_graph():
    with Image.open(io.BytesIO(b64decode(answer()["png"]))) as image:
        assert image.size == (30, 10)
        assert (np.asarray(image)[::5, ::10] == MASK).all()
    with Image.open(io.BytesIO(b64decode(answer(size="graph")["png"]))) as image:
        assert (np.asarray(image) == MASK).all()


LOGITS = np.random.default_rng(5).normal(size=(1, 2, 4, 6)).astype(np.float32)


def scaled_up(height: int, width: int) -> Any:
    """The labels that transformers' post_process_semantic_segmentation gives for LOGITS."""
    logits = torch.nn.functional.interpolate(
        torch.from_numpy(LOGITS), (height, width), mode="bilinear", align_corners=False
    )
    return logits[0].argmax(dim=0).numpy()


def interpolating(**options: Any) -> Any:
    """The task for pictures of 16 x 24 pixels, whose logits have a quarter of the sides."""
    output = SegmentationOptions(labels=LABELS, interpolation="bilinear", **options)
    rows = ImageOptions(height=16, width=24)
    return task_alone("segmentation", Signature("", "", "", "", rows, output, (), (), 1))


@pytest.mark.parametrize("size", [(90, 31), (16, 24), (3, 5)])
def test_interpolated_logits_are_decided_at_the_pictures_size(size):
    height, width = size
    task, origin = interpolating(mask="png"), Frame(width, height, 24, 16, width / 24, height / 16)
    task.origins = lambda rows: [origin for _ in rows]
    [prediction] = task.predictions(Outputs(logits=LOGITS), [None])
    with Image.open(io.BytesIO(b64decode(prediction["png"]))) as image:
        np.testing.assert_array_equal(np.asarray(image), scaled_up(height, width))
    assert prediction["shares"]["tree"] == pytest.approx(scaled_up(height, width).mean(), abs=1e-6)
    assert interpolating().quality(Outputs(logits=LOGITS), [scaled_up(height, width).tolist()], [origin]) == [1]


@pytest.mark.parametrize(
    ("options", "logits"),
    [
        ({}, LOGITS),
        ({"size": "graph"}, LOGITS),
        ({"channels_last": True}, LOGITS.transpose(0, 2, 3, 1)),
        ({"threshold": 0.0}, LOGITS[:, 1:] - LOGITS[:, :1]),
        ({"threshold": 3.0}, LOGITS[:, 1:] - LOGITS[:, :1] + 3),
    ],
)
def test_interpolated_logits_without_a_picture_are_decided_at_the_size_of_the_graphs_input(options, logits):
    [mask] = interpolating(**options).masks(Outputs(logits=logits))
    np.testing.assert_array_equal(mask, scaled_up(16, 24))


def test_the_proof_sees_pixels_that_change_between_the_outputs_own():
    moved = LOGITS + np.where(LOGITS.argmax(axis=1, keepdims=True) == [[[[0]], [[1]]]], 1, 0).astype(np.float32)
    outputs, reference = Outputs(logits=moved), Outputs(logits=LOGITS)
    assert segmentation().agreement(outputs, reference) == [1]  # each output pixel keeps its label
    assert not segmentation().changes(outputs, reference).any()
    assert interpolating().agreement(outputs, reference)[0] < 1
    assert interpolating().changes(outputs, reference).all()


def test_the_profile_has_the_shares_of_the_picture_without_bars():
    rows = np.repeat([[0], [1], [1], [0]], 3, axis=1)[None]  # the picture lies in the middle two
    barred = Frame(30, 20, 3, 4, 10.0, 10.0, 0.0, -10.0)
    [prediction] = segmentation().proof_predictions(Outputs(mask=rows), [barred])
    assert prediction == {"shares": {"ground": 0, "tree": 1}, "masks": {"tree": {"size": [2, 3], "counts": [0, 6]}}}
    [prediction] = interpolating().proof_predictions(Outputs(logits=LOGITS), [Frame(90, 31, 24, 16, 90 / 24, 31 / 16)])
    assert prediction["shares"]["tree"] == pytest.approx(scaled_up(16, 24).mean(), abs=1e-6)


def test_label_numbers_that_are_to_be_interpolated_are_refused():
    assert "can't be interpolated" in interpolating().outputs_fault(Outputs(mask=MASK[None].astype(np.int64)))
    assert interpolating().outputs_fault(Outputs(logits=LOGITS)) == ""


def test_quality_is_the_mean_overlap_with_lists_or_runs():
    task, outputs = segmentation(), Outputs(mask=PLANES)
    assert task.quality(outputs, [MASK.tolist()]) == pytest.approx([1])
    assert task.quality(outputs, [{"masks": RUNS}]) == pytest.approx([1])
    large = np.repeat(np.repeat(MASK, 5, axis=0), 10, axis=1)
    assert task.quality(outputs, [large.tolist()], [Frame(30, 10, 3, 2, 10.0, 5.0)]) == pytest.approx([1])
    assert task.quality(outputs, [[[0, 0, 0], [0, 1, 1]]]) == pytest.approx([(3 / 4 + 2 / 3) / 2])
    turned = Outputs(mask=PLANES[:, ::-1])
    assert task.agreement(outputs, outputs) == pytest.approx([1])
    assert task.agreement(outputs, turned) == pytest.approx([0])


def test_a_label_that_is_no_mask_is_told():
    task = segmentation()
    assert task.label_fault(MASK.tolist()) == ""
    assert task.label_fault([[255, 1]]) == ""
    assert task.label_fault({"masks": RUNS}) == ""
    bad: Any
    for bad in ("tree", [0, 1], [[0, 1], [0]], {"masks": {}}, {"masks": {"tree": {"size": [1, 1], "counts": [2]}}}, 3):
        assert "give lists" in task.label_fault(bad), bad
    assert task.label_fault([[0, 7]]).startswith("give label numbers up to 1")
    assert task.unknown_labels({"masks": {"hen": RUNS["tree"]}}) == ["hen"]
    assert task.unknown_labels(MASK.tolist()) == []


def test_an_output_of_another_shape_is_told():
    assert "for 2 labels by pixel" in segmentation().outputs_fault(Outputs(mask=np.zeros((1, 3, 4, 4))))
    assert "by pixel" in segmentation().outputs_fault(Outputs(mask=np.zeros((1, 4))))
    three = task_for(SegmentationOptions(labels=("a", "b", "c")))
    assert "by pixel" in three.outputs_fault(Outputs(mask=np.zeros((1, 1, 4, 4))))


def test_a_mask_of_numbers_beyond_the_labels_is_told_since_its_pixels_would_be_left_out():
    numbers = np.array([[[0, 1], [2, 255]]])
    assert "the label number 2, but output.labels end at 1" in segmentation().outputs_fault(Outputs(mask=numbers))
    assert segmentation().outputs_fault(Outputs(mask=np.where(numbers == 2, 1, numbers))) == ""


def test_monitoring_compares_the_shares():
    task = segmentation()
    predictions = task.predictions(Outputs(mask=np.array([[[0, 0, 0, 1]], [[1, 1, 1, 1]]])), None)
    measures = {name: values.tolist() for name, values in task.prediction_measures(predictions).items()}
    assert measures == {"score": [0.75, 1], "share.ground": [0.75, 0], "share.tree": [0.25, 1]}
    assert [task.label(prediction) for prediction in predictions] == ["ground", "tree"]
    assert task.prediction_schema()["required"] == ["shares", "masks"]
