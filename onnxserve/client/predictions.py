"""Predictions by task, as a server sends them (docs/reference/handlers.md)."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Classification:
    """The best label and its score, from 0 to 1; `scores` has more labels where the request asks for them (`top_k`)."""

    label: str
    score: float
    scores: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Multilabel:
    """The labels whose scores reach the model's threshold, the best first; `scores`, from 0 to 1, are of all labels."""

    labels: list[str]
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class Regression:
    """The row's values, in the model's own units."""

    values: list[float]


@dataclass(frozen=True, slots=True)
class DetectedObject:
    """An object of a picture; `score` is from 0 to 1, `box` is left, top, right and bottom in the picture's pixels."""

    label: str
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Detection:
    """The objects of a picture, the best first."""

    objects: list[DetectedObject]


@dataclass(frozen=True, slots=True)
class Mask:
    """The pixels of a label: `size` is height and width, `counts` are run lengths by column as COCO counts them."""

    size: tuple[int, int]
    counts: list[int]


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Each label's share of the pixels, from 0 to 1, and the masks: run lengths by label, or a PNG file in base64."""

    shares: dict[str, float]
    masks: dict[str, Mask] = field(default_factory=dict)
    png: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a text, from character `start` to before `end`; of a row that is words, the places count words.

    `score` is from 0 to 1.
    """

    label: str
    start: int
    end: int
    score: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The spans of a text."""

    spans: list[Span]


@dataclass(frozen=True, slots=True)
class Embedding:
    """The row's vector, shape (width,)."""

    embedding: list[float]


@dataclass(frozen=True, slots=True)
class Rerank:
    """The relevance of a pair's second text for the first: from 0 to 1, unless the model's `activation` is `none`."""

    score: float


@dataclass(frozen=True, slots=True)
class Raw:
    """Every output of the graph for the row by name, as nested lists."""

    outputs: dict[str, Any]


# Handlers of users' own give any object.
TaskPrediction = Classification | Multilabel | Regression | Detection | Segmentation | Tokens | Embedding | Rerank | Raw
Prediction = TaskPrediction | dict[str, Any]
TASKS: tuple[type[Any], ...] = (
    *(Classification, Multilabel, Regression, Detection, Segmentation),
    *(Tokens, Embedding, Rerank, Raw),
)


def _names(task: type[Any], *, required: bool) -> frozenset[str]:
    """Return the names of a task's fields, all or those that a prediction must have."""
    return frozenset(
        entry.name
        for entry in fields(task)
        if not required or (entry.default is MISSING and entry.default_factory is MISSING)
    )


NAMES = [(task, _names(task, required=True), _names(task, required=False)) for task in TASKS]


def read_prediction(document: Any) -> Any:
    """Return a prediction of the task whose fields the document has; another handler's JSON stays as it is."""
    if not isinstance(document, dict):
        return document
    for task, required, known in NAMES:
        if required <= document.keys() <= known:
            try:
                return msgspec.convert(document, task)
            except msgspec.ValidationError:
                return document
    return document
