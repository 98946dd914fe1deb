"""Detection: a prediction is the objects of a picture, each a label, a score and a box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, cast

import msgspec
import numpy as np
import numpy.typing as npt

from ..inputs.image_placement import Frame, frames
from ..outputs import Array, Outputs
from ..signature import Schema, object_schema
from . import OutputOptions, TaskHooks, count_measure, f1, field_of, first_output
from .classification import DIGITS, probabilities
from .detection_boxes import Form, corners, match, mean_average_precision, suppress
from .regression import round_significant

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Floats = npt.NDArray[np.float64]


class DetectionOptions(OutputOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the graph's outputs have boxes, scores and labels, and which of the boxes are objects."""

    task: Literal["detection"] = "detection"
    """A prediction is the objects of a picture, each with a label, a score and a box in the picture's pixels."""
    labels: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """Labels in the order of their numbers."""
    layout: Literal["separate", "table", "anchors"] = "separate"
    """What the outputs are.

    `separate`: boxes (rows, boxes, 4), scores (rows, boxes) and label numbers (rows, boxes), in this order, or label
    numbers before scores if they are integers; or boxes and scores of each label (rows, boxes, labels). `table`: (rows,
    boxes, 6) of box, score and label number. `anchors`: (rows, 4 + labels, boxes) of box and scores of each label.
    """
    box: Form = "xyxy"
    """Four numbers of a box: left, top, right and bottom (`xyxy`); left, top, width and height (`xywh`); or the
    centre's x and y, width and height (`cxcywh`)."""
    relative: bool = False
    """Whether coordinates range from 0 to 1 over the graph's picture; else they are its pixels."""
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    """What makes scores of each label's outputs: `none` where they are scores; `softmax` for logits with a last one
    that means no object."""
    first_label: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Number of the first label; where 0 is the background, 1."""
    threshold: Share = 0.25
    """Least score of an object."""
    max_overlap: Share = 0.5
    """Largest intersection over union of two objects of one label: of more, the better one stays. 1 where the graph
    suppresses such boxes itself."""
    max_boxes: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    """Most objects of a picture."""

    @classmethod
    def questions(cls, known: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the number of the first label, which no output says where outputs have numbers of labels."""
        if known.get("layout") == "anchors":
            return {}
        background = "1 if the model's label number 0 is the background, as in torchvision's detectors"
        return {"first_label": f"{background}; 0 if it is an object"}


class Objects(NamedTuple):
    """The objects of one row, the best first: boxes of shape (objects, 4) as corners, scores, and label indices."""

    boxes: Floats
    scores: Floats
    labels: npt.NDArray[np.intp]


class Detection(TaskHooks):
    """The objects of each row; boxes lie in the client's picture where the row is one, else in the graph's."""

    output_options = DetectionOptions
    quality_name = "average precision at an overlap of 0.5"
    agreement_name = "F1 of matched boxes"

    @property
    def output(self) -> DetectionOptions:
        """The task's part of the signature."""
        return cast("DetectionOptions", self.signature.output)

    def predictions(self, outputs: Outputs, rows: Sequence[Any] | None) -> list[Any]:
        """Return `{"objects": [{"label": ..., "score": ..., "box": [left, top, right, bottom]}]}` per row."""
        places = None if rows is None else self.origins(rows)
        return [{"objects": self._named(objects)} for objects in self.objects(outputs, places)]

    def _named(self, objects: Objects) -> list[dict[str, Any]]:
        boxes, scores = round_significant(objects.boxes).tolist(), np.round(objects.scores, DIGITS).tolist()
        names = [self.output.labels[index] for index in objects.labels]
        return [
            {"label": name, "score": score, "box": box} for name, score, box in zip(names, scores, boxes, strict=True)
        ]

    def prediction_schema(self) -> Schema:
        """Return the schema of an object with a list of objects."""
        fields: Schema = {
            "label": {"type": "string", "enum": [*self.output.labels]},
            "score": {"type": "number", "minimum": 0, "maximum": 1},
            "box": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
        }
        items = {"type": "array", "items": object_schema(fields, [*fields]), "maxItems": self.output.max_boxes}
        return object_schema({"objects": items}, ["objects"])

    def label(self, prediction: Any) -> str | None:
        """Return the label of the best object, None where there is none."""
        objects = objects_in(prediction)
        return str(objects[0]["label"]) if objects else None

    def score(self, prediction: Any) -> float | None:
        """Return the best object's score, 0 where there is no object."""
        objects = objects_in(prediction)
        return None if objects is None else float(objects[0]["score"]) if objects else 0.0

    def prediction_measures(self, predictions: Sequence[Any]) -> Mapping[str, Array]:
        """Return the best scores and the numbers of objects."""
        return {**super().prediction_measures(predictions), **count_measure(predictions, "objects")}

    def unknown_labels(self, label: Any) -> list[str]:
        """Return the labels of a row's objects that the model doesn't have."""
        return sorted({str(entry["label"]) for entry in label} - {*self.output.labels})

    def label_fault(self, label: Any) -> str:
        """Return what to give for a row's label that is no list of objects."""
        entries = label if isinstance(label, list | tuple) else [None]
        fits = all(isinstance(entry, Mapping) and "label" in entry and _is_box(entry.get("box")) for entry in entries)
        return "" if fits else 'give a list of {"label": ..., "box": [left, top, right, bottom]}'

    def outputs_fault(self, outputs: Mapping[str, Array]) -> str:
        """Return why the outputs have no boxes in this layout, or objects that no label stands for."""
        shapes, count = [array.shape[1:] for array in outputs.values()], len(self.output.labels)
        first, layout = shapes[0], self.output.layout
        if layout == "table":
            fits = len(first) == 2 and first[1] == 6
        elif layout == "anchors":
            fits = len(first) == 2 and first[0] == 4 + count
        else:
            fits = len(shapes) > 1 and len(first) == 2 and first[1] == 4 and shapes[1][:1] == first[:1]
            fits = fits and (len(shapes[1]) == 2 or (len(shapes) > 2 and shapes[2] == shapes[1] == first[:1]))
        if not fits:
            shown = ", ".join(map(str, shapes))
            return f"the outputs of a row have shapes {shown}, which output.layout = {layout!r} doesn't read"
        return self._number_fault(outputs)

    def _number_fault(self, outputs: Mapping[str, Array]) -> str:
        """Return which objects would be left out since their label numbers are beyond those of the labels.

        Smaller numbers than the first label's are the background's.
        """
        spec, largest = self.output, -1
        stop = spec.first_label + len(spec.labels)
        for index in range(len(next(iter(outputs.values())))):
            _, scores, numbers = self._candidates({name: array[index] for name, array in outputs.items()})
            seen = np.asarray(numbers)[(scores >= spec.threshold) & (scores > 0)]
            largest = max(largest, int(seen.max(initial=-1)))
        if largest < stop:
            return ""
        return (
            f"an object has the label number {largest}, but output.labels end at {stop - 1}: give all labels, or "
            "output.first_label = 1 where 0 is the background"
        )

    def quality(
        self, outputs: Outputs, labels: Sequence[Any], origins: Sequence[Any] | None = None
    ) -> npt.NDArray[np.float64]:
        """Return the mean average precision of each row's objects beside its label, shape (rows,).

        A label is a list of labels and boxes. Boxes lie in the picture's pixels where rows are pictures, else in the
        graph's coordinates.
        """
        index = {name: number for number, name in enumerate(self.output.labels)}
        scores = []
        for objects, entries in zip(self.objects(outputs, origins), labels, strict=True):
            truth = np.array([entry["box"] for entry in entries], np.float64).reshape(-1, 4)
            names = np.array([index[str(entry["label"])] for entry in entries], np.intp)
            scores.append(mean_average_precision(objects.boxes, objects.labels, truth, names))
        return np.array(scores, np.float64)

    def agreement(self, outputs: Outputs, reference: Outputs) -> npt.NDArray[np.float64]:
        """Return the F1 of each row's objects beside the source's, by which objects match; shape (rows,)."""
        pairs = zip(self.objects(outputs, None), self.objects(reference, None), strict=True)
        return np.array([_f1(own, source) for own, source in pairs], np.float64)

    def changes(self, outputs: Outputs, reference: Outputs) -> npt.NDArray[np.bool_]:
        """Return where an object appears, disappears or gets another label, shape (rows,)."""
        return np.asarray(self.agreement(outputs, reference) < 1)

    def objects(self, outputs: Outputs, origins: Sequence[Any] | None) -> list[Objects]:
        """Return each row's objects; in the picture's pixels if the origins are frames, else in the graph's form."""
        places = frames(origins)
        count = len(first_output(outputs))
        return [self._objects(outputs, index, places[index] if places else None) for index in range(count)]

    def _objects(self, outputs: Outputs, index: int, frame: Frame | None) -> Objects:
        spec = self.output
        candidates, scores, numbers = self._candidates(outputs.row(index))
        labels = np.asarray(numbers, np.intp) - spec.first_label
        # A score of 0 is that of padding too.
        valid = (scores >= spec.threshold) & (scores > 0) & (labels >= 0) & (labels < len(spec.labels))
        boxes, scores, labels = corners(candidates[valid], spec.box), scores[valid], labels[valid]
        kept = suppress(boxes, scores, labels, spec.max_overlap, spec.max_boxes)
        boxes = boxes[kept]
        if frame is not None:
            size = np.array([frame.graph_width, frame.graph_height] * 2) if spec.relative else 1.0
            boxes = frame.to_source_pixels(boxes * size)
        return Objects(boxes, scores[kept], labels[kept])

    def _candidates(self, arrays: Mapping[str, Array]) -> tuple[Array, Floats, Array]:
        """Return boxes, scores and label numbers of one row's outputs."""
        first, *others = arrays.values()
        layout = self.output.layout
        if layout == "table":
            return first[:, :4], first[:, 4].astype(np.float64), np.round(first[:, 5])
        if layout == "anchors":
            return first[:4].T, *self._best(first[4:].T)
        if others[0].ndim == 2:
            return first, *self._best(others[0])
        scores, numbers = others[:2]
        if scores.dtype.kind in "iu" and numbers.dtype.kind == "f":  # torchvision's detectors give labels before scores
            scores, numbers = numbers, scores
        return first, scores.astype(np.float64), numbers

    def _best(self, outputs: Array) -> tuple[Floats, Array]:
        """Return the score and number of each box's best label, for outputs of shape (boxes, labels)."""
        spec = self.output
        scores = probabilities(outputs, spec.activation)[:, : spec.first_label + len(spec.labels)]
        # Shape (boxes, 0) has no best one.
        best = scores.argmax(axis=1) if scores.size else np.zeros(len(scores), np.intp)
        return np.take_along_axis(scores, best[:, None], axis=1)[:, 0].astype(np.float64), best


def objects_in(prediction: Any) -> list[Any] | None:
    """Return the objects of a prediction, None if it isn't one of this task."""
    objects = field_of(prediction, "objects")
    return objects if isinstance(objects, list) else None


def _is_box(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 4
        and all(isinstance(number, int | float) and not isinstance(number, bool) for number in value)
    )


def _f1(own: Objects, source: Objects) -> float:
    matched = match(own.boxes, own.labels, source.boxes, source.labels).sum()
    return float(f1(matched, len(own.boxes) + len(source.boxes)))
