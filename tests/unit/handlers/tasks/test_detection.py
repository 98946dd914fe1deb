"""Detection: each layout of outputs gives the same objects, in the client's picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inputs.image import ImageInput, ImageOptions, ImageRow
from onnxserve_handlers.inputs.image_placement import Frame
from onnxserve_handlers.outputs import FreeAxis, Outputs, with_sizes
from onnxserve_handlers.registry import task_for
from onnxserve_handlers.signature import Signature
from onnxserve_handlers.tasks.detection import Detection, DetectionOptions

LABELS = ("cat", "dog")
BOXES = np.array([[[2, 2, 6, 6], [2, 2, 6, 7], [10, 0, 14, 8], [0, 0, 1, 1]]], np.float32)
SCORES = np.array([[0.9, 0.8, 0.7, 0.1]], np.float32)
NUMBERS = np.array([[0, 0, 1, 1]])
EXPECTED = [
    {"label": "cat", "score": 0.9, "box": [2.0, 2.0, 6.0, 6.0]},
    {"label": "dog", "score": 0.7, "box": [10.0, 0.0, 14.0, 8.0]},
]


def detection(**options: Any) -> Any:
    return task_for(DetectionOptions(labels=LABELS, **options))


def objects(task: Any, outputs: Outputs) -> list[Any]:
    [prediction] = task.predictions(outputs, None)
    detected: list[Any] = prediction["objects"]
    return [{**entry, "score": round(entry["score"], 5)} for entry in detected]


def per_label(first: int = 0) -> np.ndarray:
    scores = np.zeros((1, 4, first + 2), np.float32)
    scores[0, np.arange(4), NUMBERS[0] + first] = SCORES[0]
    return scores


def centred() -> np.ndarray:
    start, end = BOXES[..., :2], BOXES[..., 2:]
    return np.concatenate([(start + end) / 2, end - start], axis=-1)


@pytest.mark.parametrize(
    ("options", "arrays"),
    [
        ({}, (BOXES, SCORES, NUMBERS)),
        ({}, (BOXES, NUMBERS, SCORES)),  # as torchvision's detectors give them
        ({"first_label": 1}, (BOXES, SCORES, NUMBERS + 1)),
        ({}, (BOXES, per_label())),
        ({"first_label": 1}, (BOXES, per_label(1))),
        ({"layout": "table"}, (np.concatenate([BOXES, SCORES[..., None], NUMBERS[..., None]], axis=-1),)),
        (
            {"layout": "anchors", "box": "cxcywh"},
            (np.concatenate([centred(), per_label()], axis=-1).transpose(0, 2, 1),),
        ),
    ],
)
def test_every_layout_gives_the_same_objects(options, arrays):
    task = detection(**options)
    outputs = Outputs({str(number): array for number, array in enumerate(arrays)})
    assert task.outputs_fault(outputs) == ""
    assert objects(task, outputs) == EXPECTED


def test_logits_become_scores_and_a_last_output_means_no_object():
    logits = np.log(np.array([[[0.9, 0.05, 0.05], [0.1, 0.1, 0.8]]], np.float32))
    outputs = Outputs(boxes=BOXES[:, :2], logits=logits)
    [cat] = objects(detection(activation="softmax"), outputs)
    assert (cat["label"], cat["score"]) == ("cat", pytest.approx(0.9, abs=1e-4))
    scores = np.log(per_label()[:, :1] / (1 - per_label()[:, :1]) + 1e-9)
    [cat] = objects(detection(activation="sigmoid"), Outputs(boxes=BOXES[:, :1], logits=scores))
    assert cat["score"] == pytest.approx(0.9, abs=1e-4)


def test_thresholds_and_limits_are_options():
    outputs = Outputs(boxes=BOXES, scores=SCORES, labels=NUMBERS)
    assert len(objects(detection(threshold=0.0), outputs)) == 3
    assert len(objects(detection(max_overlap=1), outputs)) == 3
    assert len(objects(detection(max_boxes=1), outputs)) == 1
    assert objects(detection(threshold=0.95), outputs) == []


def test_what_lies_beyond_a_rows_own_boxes_is_no_object():
    padded = with_sizes(
        {"boxes": np.repeat(BOXES, 2, axis=0), "scores": np.repeat(SCORES, 2, axis=0), "labels": np.zeros((2, 4), int)},
        [FreeAxis(name, 1, "n") for name in ("boxes", "scores", "labels")],
        {"n": [4, 0]},
    )
    first, second = detection(threshold=0.0).predictions(padded, None)
    assert len(first["objects"]) > 0
    assert second == {"objects": []}


class Detector(ImageInput, Detection, Handler):
    """Images to objects."""


@pytest.mark.parametrize("relative", [False, True])
def test_boxes_lie_in_the_picture_that_was_sent(relative):
    row = np.zeros((8, 16, 3), np.uint8).view(ImageRow)
    row.source_size = (160, 40)
    handler = Detector()
    scale = np.array([16, 8, 16, 8], np.float32) if relative else 1
    options = DetectionOptions(labels=LABELS, relative=relative)
    handler.signature = Signature("", "", "", "", ImageOptions(height=8, width=16), options, (), (), 1)
    outputs = Outputs(boxes=BOXES / scale, scores=SCORES, labels=NUMBERS)
    [prediction] = handler.predictions(outputs, [row])
    assert [entry["box"] for entry in prediction["objects"]] == [[20, 10, 60, 30], [100, 0, 140, 40]]


def test_outputs_of_another_shape_are_told():
    assert "output.layout = 'table'" in detection(layout="table").outputs_fault(Outputs(boxes=BOXES))
    assert "doesn't read" in detection().outputs_fault(Outputs(boxes=BOXES))
    assert "doesn't read" in detection(layout="anchors").outputs_fault(Outputs(boxes=BOXES))


def test_objects_whose_numbers_no_label_stands_for_are_a_fault_and_the_background_is_none():
    fault = detection().outputs_fault(Outputs(boxes=BOXES, scores=SCORES, labels=NUMBERS + 1))
    assert fault.startswith("an object has the label number 2, but output.labels end at 1: give all labels, or")
    weak = np.where(NUMBERS == 1, 0.2, SCORES).astype(np.float32)  # below the threshold
    assert detection().outputs_fault(Outputs(boxes=BOXES, scores=weak, labels=NUMBERS + 1)) == ""
    with_background = Outputs(boxes=BOXES, scores=SCORES, labels=np.array([[0, 1, 2, 0]]))
    assert detection(first_label=1).outputs_fault(with_background) == ""
    assert "the label number 3" in detection(first_label=1).outputs_fault(
        Outputs(boxes=BOXES, scores=SCORES, labels=np.array([[3, 1, 2, 0]]))
    )


def test_a_label_is_a_list_of_labelled_boxes():
    task = detection()
    assert task.label_fault([{"label": "cat", "box": [0, 0, 1, 1]}]) == ""
    assert task.label_fault([]) == ""
    for bad in ("cat", [{"label": "cat"}], [{"label": "cat", "box": [0, 0, 1]}], {"label": "cat", "box": [0, 0, 1, 1]}):
        assert "give a list of" in task.label_fault(bad)
    assert task.unknown_labels([{"label": "hen", "box": [0, 0, 1, 1]}, {"label": "cat", "box": [0, 0, 1, 1]}]) == [
        "hen"
    ]


def test_quality_is_measured_in_the_picture_and_agreement_beside_the_source():
    task, outputs = detection(), Outputs(boxes=BOXES, scores=SCORES, labels=NUMBERS)
    truth = [{"label": "cat", "box": [20, 20, 60, 60]}, {"label": "dog", "box": [100, 0, 140, 80]}]
    assert task.quality(outputs, [truth], [Frame(160, 80, 16, 8, 10.0, 10.0)]) == pytest.approx([1])
    assert task.quality(outputs, [truth]) == pytest.approx([0])
    assert task.quality(outputs, [truth[:1]], [Frame(160, 80, 16, 8, 10.0, 10.0)]) == pytest.approx([0.5])
    fewer = Outputs(boxes=BOXES[:, :2], scores=SCORES[:, :2], labels=NUMBERS[:, :2])
    assert task.agreement(outputs, outputs) == pytest.approx([1])
    assert task.agreement(fewer, outputs) == pytest.approx([2 / 3])


def test_monitoring_compares_the_best_score_and_the_number_of_objects():
    task = detection()
    predictions = [{"objects": EXPECTED}, {"objects": []}]
    measures = task.prediction_measures(predictions)
    assert {name: values.tolist() for name, values in measures.items()} == {"score": [0.9, 0.0], "objects": [2, 0]}
    assert [task.label(prediction) for prediction in predictions] == ["cat", None]
    assert task.score({"error": {}}) is None
    assert task.prediction_schema()["properties"]["objects"]["maxItems"] == 100
