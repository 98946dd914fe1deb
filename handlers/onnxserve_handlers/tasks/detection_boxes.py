"""Boxes: their corners, overlaps, suppression of those that say the same, and how well they match others.

A box has four numbers: left, top, right and bottom, once `corners` has read it.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]
Form = Literal["xyxy", "xywh", "cxcywh"]
MOST_CANDIDATES = 2000  # boxes of a row that suppression compares, those with the best scores
LEAST_OVERLAP = 0.5  # of two boxes that match


def corners(boxes: Array, form: Form) -> npt.NDArray[np.float64]:
    """Return boxes, shape (boxes, 4), as left, top, right and bottom; other forms have a width and a height."""
    wide = np.asarray(boxes, np.float64).reshape(-1, 4)
    if form == "xyxy":
        return wide
    first, size = wide[:, :2], wide[:, 2:]
    start = first if form == "xywh" else first - size / 2
    return np.concatenate([start, start + size], axis=1)


def overlaps(left: Array, right: Array) -> npt.NDArray[np.float64]:
    """Return the intersection over union of each box of one side with each of the other, shape (left, right).

    M. Everingham et al., "The Pascal Visual Object Classes (VOC) challenge", IJCV 88 (2010).
    """
    starts, ends = np.maximum(left[:, None, :2], right[None, :, :2]), np.minimum(left[:, None, 2:], right[None, :, 2:])
    shared = np.prod(np.clip(ends - starts, 0, None), axis=2)
    union = areas(left)[:, None] + areas(right)[None] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def areas(boxes: Array) -> npt.NDArray[np.float64]:
    """Return the boxes' areas, 0 for one whose end lies before its start; shape (boxes,)."""
    return np.asarray(np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1))


def suppress(boxes: Array, scores: Array, labels: Array, most_overlap: float, most: int) -> npt.NDArray[np.intp]:
    """Return the indices of at most `most` boxes, the best first, of which no two of one label overlap by more.

    Greedy non-maximum suppression: each box that is kept drops those of its label that overlap it. It compares at most
    `most` times `MOST_CANDIDATES` boxes. A. Neubeck et al., "Efficient non-maximum suppression", ICPR 2006.
    """
    order = np.argsort(-scores, kind="stable")[:MOST_CANDIDATES]
    kept: list[int] = []
    while len(order) and len(kept) < most:
        best, order = int(order[0]), order[1:]
        kept.append(best)
        if most_overlap < 1:
            same = labels[order] == labels[best]
            order = order[~(same & (overlaps(boxes[best : best + 1], boxes[order])[0] > most_overlap))]
    return np.array(kept, np.intp)


def match(boxes: Array, labels: Array, truth: Array, truth_labels: Array) -> Flags:
    """Return which boxes match one of the truth of their label, shape (boxes,); each of the truth matches one box.

    A box takes the free one that it overlaps most, if that is by LEAST_OVERLAP or more.
    """
    matched = np.zeros(len(boxes), bool)
    if not (len(boxes) and len(truth)):
        return matched
    likeness = np.where(labels[:, None] == truth_labels[None], overlaps(boxes, truth), 0.0)
    for index in range(len(boxes)):
        place = int(likeness[index].argmax())
        if likeness[index, place] >= LEAST_OVERLAP:
            matched[index] = True
            likeness[:, place] = 0.0
    return matched


def average_precision(hits: Flags, truth: int) -> float:
    """Return the area below precision over recall, for boxes from the best score on of which `hits` match the truth.

    Precision at a recall is the best at that recall or a higher one, as in the PASCAL VOC challenge from 2010 on:
    M. Everingham et al., "The Pascal Visual Object Classes Challenge: a retrospective", IJCV 111 (2015). 1 where there
    is neither a box nor a truth, 0 where there is one of the two alone.
    """
    if not truth:
        return float(not len(hits))
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[hits].sum() / truth)


def mean_average_precision(boxes: Array, labels: Array, truth: Array, truth_labels: Array) -> float:
    """Return the mean of the average precision over the labels that boxes or truth have; boxes are the best first."""
    named = sorted({*labels.tolist(), *truth_labels.tolist()})
    hits = match(boxes, labels, truth, truth_labels)
    each = [average_precision(hits[labels == label], int((truth_labels == label).sum())) for label in named]
    return float(np.mean(each)) if each else 1.0
