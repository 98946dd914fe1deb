"""Boxes: overlaps and suppression with known values, and precision that is worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from onnxserve_handlers.tasks.detection_boxes import (
    average_precision,
    corners,
    match,
    mean_average_precision,
    overlaps,
    suppress,
)

SQUARE = [0.0, 0, 10, 10]


@pytest.mark.parametrize(("form", "box"), [("xyxy", [2, 4, 10, 8]), ("xywh", [2, 4, 8, 4]), ("cxcywh", [6, 6, 8, 4])])
def test_each_form_of_a_box_gives_its_corners(form, box):
    assert corners(np.array([box], np.float32), form).tolist() == [[2, 4, 10, 8]]


def test_an_overlap_is_the_intersection_over_the_union():
    others = np.array([SQUARE, [5, 0, 15, 10], [20, 20, 30, 30], [9, 9, 1, 1], [3, 3, 3, 3]])
    assert overlaps(np.array([SQUARE]), others)[0] == pytest.approx([1, 1 / 3, 0, 0, 0])


def test_of_boxes_that_overlap_the_best_of_each_label_stays():
    boxes = np.array([SQUARE, [1, 0, 11, 10], [1, 1, 11, 11], [50, 50, 60, 60]])
    scores, labels = np.array([0.6, 0.9, 0.8, 0.7]), np.array([0, 0, 1, 0])
    assert suppress(boxes, scores, labels, 0.5, 10).tolist() == [1, 2, 3]
    assert suppress(boxes, scores, labels, 1.0, 10).tolist() == [1, 2, 3, 0]
    assert suppress(boxes, scores, labels, 0.5, 2).tolist() == [1, 2]
    assert suppress(boxes[:0], scores[:0], labels[:0], 0.5, 2).tolist() == []


def test_suppression_is_that_of_the_pairwise_definition():
    draws = np.random.default_rng(3)
    starts = draws.uniform(0, 50, (200, 2))
    boxes = np.concatenate([starts, starts + draws.uniform(5, 30, (200, 2))], axis=1)
    scores, labels = draws.random(200), draws.integers(0, 3, 200)
    likeness, kept = overlaps(boxes, boxes), list[int]()
    for index in np.argsort(-scores):
        if all(labels[index] != labels[other] or likeness[index, other] <= 0.4 for other in kept):
            kept.append(int(index))
    assert suppress(boxes, scores, labels, 0.4, 1000).tolist() == kept


def test_each_truth_matches_one_box_of_its_label():
    boxes = np.array([SQUARE, [1, 0, 11, 10], SQUARE, [0, 0, 4, 10]])
    labels, truth = np.array([0, 0, 1, 0]), np.array([SQUARE])
    assert match(boxes, labels, truth, np.array([0])).tolist() == [True, False, False, False]
    assert match(boxes, labels, truth[:0], np.array([], int)).tolist() == [False] * 4


def test_average_precision_is_the_area_under_the_best_precision():
    assert average_precision(np.array([True, True]), 2) == 1
    # Precision 1 up to a recall of a half, then 2/3.
    assert average_precision(np.array([True, False, True]), 2) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.array([False, True]), 1) == pytest.approx(1 / 2)
    assert average_precision(np.array([], bool), 2) == 0
    assert average_precision(np.array([], bool), 0) == 1
    assert average_precision(np.array([False]), 0) == 0


def test_the_mean_is_over_labels_that_are_there_or_said_to_be():
    truth, none = np.array([SQUARE]), np.zeros((0, 4))
    first, second = np.array([1]), np.array([2])
    nothing = np.array([], int)
    assert mean_average_precision(truth, first, truth, first) == 1
    assert mean_average_precision(truth, second, truth, first) == 0
    both = np.concatenate([truth, truth + 50])
    assert mean_average_precision(both, np.array([1, 2]), truth, first) == 0.5
    assert mean_average_precision(none, nothing, none, nothing) == 1
