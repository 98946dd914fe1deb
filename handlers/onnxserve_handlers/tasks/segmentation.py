"""Segmentation: a prediction is the label of each pixel of a picture, and each label's share of them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt

from ..inputs.image_placement import Frame, frames
from ..outputs import Array, Outputs
from ..signature import Schema, object_schema
from . import OutputOptions, TaskHooks, field_of, first_output
from .segmentation_masks import (
    BEYOND,
    decode_runs,
    encode_png,
    in_picture,
    largest_between,
    mean_overlap,
    nearest,
    resize,
    run_lengths,
)

DIGITS = 6  # decimals of a share
SAME_PIXELS = 0.999  # share of equal pixels of two masks that are the same: float32 rounds differently at borders
SHARES = "shares"


class SegmentationOptions(OutputOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the first output has for each pixel, and what a mask is sent as."""

    task: Literal["segmentation"] = "segmentation"
    """A prediction is the label of each pixel.

    The first output has a number for each label (rows, labels, height, width), the largest of which decides; or
    the label's number itself (rows, height, width); or for two labels one number (rows, 1, height, width), which is
    above `threshold` for the second.
    """
    labels: Annotated[tuple[str, ...], msgspec.Meta(min_length=2, max_length=BEYOND)]
    """Labels in the order of their numbers."""
    channels_last: bool = False
    """Whether the labels are the last axis: (rows, height, width, labels)."""
    threshold: float = 0.0
    """Number above which a pixel has the second of two labels, where the output has one for both: 0 for logits."""
    mask: Literal["rle", "png"] = "rle"
    """Form of a mask: run lengths of each label as COCO counts them, or a PNG file of the labels' numbers in base64."""
    size: Literal["picture", "graph"] = "picture"
    """Size of a mask: the client's picture's or the graph's."""
    interpolation: Literal["nearest", "bilinear"] = "nearest"
    """How an output gets another size, the picture's: with `nearest`, a pixel has the label of the output's pixel in
    which its centre lies. With `bilinear`, the numbers of each label are interpolated before the largest decides, as
    transformers and mmsegmentation do; the graph's size is then its input's."""


class Segmentation(TaskHooks):
    """The label of each pixel, and each label's share."""

    output_options = SegmentationOptions
    quality_name = "overlap of the labels (mean intersection over union)"
    least_quality = 0.5
    agreement_name = "overlap with its mask (mean intersection over union)"

    @property
    def output(self) -> SegmentationOptions:
        """The task's part of the signature."""
        return cast("SegmentationOptions", self.signature.output)

    def predictions(self, outputs: Outputs, rows: Sequence[Any] | None) -> list[Any]:
        """Return `{"shares": {label: share}, ...}` per row, with `masks` of run lengths by label, or one mask as `png`.

        Shares are of the pixels that the graph saw, and labels without a pixel have no mask.
        """
        return self._answers(outputs, None if rows is None else frames(self.origins(rows)))

    def proof_predictions(self, outputs: Outputs, origins: Sequence[Any] | None) -> list[Any]:
        """Return the predictions of rows with these origins, for pictures as large as the graph saw them.

        Shares are almost the same, and large pictures of many rows would take long.
        """
        places = frames(origins)
        return self._answers(outputs, places and [frame.at_graph_scale() for frame in places])

    def _answers(self, outputs: Outputs, places: Sequence[Frame] | None) -> list[Any]:
        own = places if self.output.size == "picture" else None
        return [self._prediction(mask) for mask in self.masks(outputs, own)]

    def _prediction(self, mask: Array) -> dict[str, Any]:
        labels = self.output.labels
        counts = np.bincount(mask.ravel(), minlength=BEYOND + 1)[: len(labels)]
        shares = np.round(counts / max(1, int(counts.sum())), DIGITS).tolist()
        prediction: dict[str, Any] = {SHARES: dict(zip(labels, shares, strict=True))}
        if self.output.mask == "png":
            return {**prediction, "png": b64encode(encode_png(mask)).decode()}
        size, known = (
            list(mask.shape),
            {number: lengths for number, lengths in run_lengths(mask).items() if number < len(labels)},
        )
        masks = {labels[number]: {"size": size, "counts": lengths} for number, lengths in known.items()}
        return {**prediction, "masks": masks}

    def prediction_schema(self) -> Schema:
        """Return the schema of an object with shares, and with masks in their form."""
        share: Schema = {"type": "number", "minimum": 0, "maximum": 1}
        labels = self.output.labels
        fields: Schema = {SHARES: object_schema(dict.fromkeys(labels, share), labels)}
        if self.output.mask == "png":
            fields["png"] = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
        else:
            whole: Schema = {"type": "integer", "minimum": 0}
            size: Schema = {"type": "array", "items": whole, "minItems": 2, "maxItems": 2}
            mask = object_schema({"size": size, "counts": {"type": "array", "items": whole}}, ["size", "counts"])
            fields["masks"] = object_schema(dict.fromkeys(labels, mask), [])
        return object_schema(fields, [*fields])

    def label(self, prediction: Any) -> str | None:
        """Return the label of the most pixels."""
        shares = field_of(prediction, SHARES)
        return max(shares, key=shares.__getitem__) if isinstance(shares, dict) and shares else None

    def score(self, prediction: Any) -> float | None:
        """Return the share of the label of the most pixels."""
        shares = field_of(prediction, SHARES)
        return max(shares.values(), default=None) if isinstance(shares, dict) else None

    def prediction_measures(self, predictions: Sequence[Any]) -> Mapping[str, Array]:
        """Return the largest shares, and the share of each label."""
        rows = [shares for row in predictions if isinstance(shares := field_of(row, SHARES), dict)]
        each = (
            {f"share.{label}": np.array([row[label] for row in rows]) for label in self.output.labels} if rows else {}
        )
        return {**super().prediction_measures(predictions), **each}

    def unknown_labels(self, label: Any) -> list[str]:
        """Return the labels of a row's masks that the model doesn't have."""
        named = label["masks"] if isinstance(label, Mapping) else ()
        return sorted(set(named) - {*self.output.labels})

    def label_fault(self, label: Any) -> str:
        """Return what to give for a row's label that is no mask."""
        try:
            mask = self._truth(label)
        except (ValueError, TypeError, KeyError, AttributeError, IndexError):
            return 'give lists of label numbers by pixel, or {"masks": {label: {"size": ..., "counts": ...}}}'
        beyond = mask[(mask >= len(self.output.labels)) & (mask != BEYOND)]
        most = len(self.output.labels) - 1
        return f"give label numbers up to {most}, or {BEYOND} for pixels that count for nothing" if beyond.size else ""

    def outputs_fault(self, outputs: Mapping[str, Array]) -> str:
        """Return why the first output has nothing for each label and pixel."""
        spec, shape = self.output, first_output(outputs).shape[1:]
        planes = {len(spec.labels), 1} if len(spec.labels) == 2 else {len(spec.labels)}
        fits = len(shape) == 2 or (len(shape) == 3 and shape[-1 if spec.channels_last else 0] in planes)
        if not fits:
            return f"the first output has shape {shape} a row for {len(spec.labels)} labels by pixel"
        if len(shape) == 2 and spec.interpolation == "bilinear":
            return "the first output has labels' numbers, which can't be interpolated: interpolation must be nearest"
        return self._number_fault(first_output(outputs)) if len(shape) == 2 else ""

    def _number_fault(self, numbers: Array) -> str:
        """Return which pixels of shape (rows, height, width) would be left out since no label has their number."""
        count = len(self.output.labels)
        beyond = numbers[(numbers >= count) & (numbers != BEYOND)]
        if not beyond.size:
            return ""
        return (
            f"a pixel has the label number {int(beyond.max())}, but output.labels end at {count - 1}: give all labels, "
            "first the background's where 0 is the background"
        )

    def quality(
        self, outputs: Outputs, labels: Sequence[Any], origins: Sequence[Any] | None = None
    ) -> npt.NDArray[np.float64]:
        """Return the mean overlap of each row's mask with its label's, shape (rows,).

        They are compared in the picture where rows are pictures. A label is a list of label numbers by pixel, 255 for
        those that count for nothing, or run lengths by label.
        """
        masks = zip(self.masks(outputs, frames(origins)), map(self._truth, labels), strict=True)
        count = len(self.output.labels)
        return np.array([mean_overlap(own, resize(truth, *own.shape), count) for own, truth in masks], np.float64)

    def agreement(self, outputs: Outputs, reference: Outputs) -> npt.NDArray[np.float64]:
        """Return the mean overlap of each row's mask with the source's, shape (rows,)."""
        count, pairs = len(self.output.labels), zip(self.masks(outputs), self.masks(reference), strict=True)
        return np.array([mean_overlap(own, source, count) for own, source in pairs], np.float64)

    def changes(self, outputs: Outputs, reference: Outputs) -> npt.NDArray[np.bool_]:
        """Return where more than one pixel in a thousand has another label, shape (rows,)."""
        pairs = zip(self.masks(outputs), self.masks(reference), strict=True)
        return np.array([np.mean(own == source) < SAME_PIXELS for own, source in pairs], bool)

    def masks(self, outputs: Outputs, places: Sequence[Frame] | None = None) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield each row's label numbers by pixel of its picture, whose place is known, else of the graph's picture.

        With `nearest`, the size of the latter is the output's. Masks of pictures are large: one is made at a time.
        """
        for index, output in enumerate(first_output(outputs)):
            yield self._mask(output, places[index] if places else None)

    def _mask(self, output: Array, frame: Frame | None) -> npt.NDArray[np.uint8]:
        if self.output.interpolation == "bilinear":
            planes = self._planes(output)
            return in_picture(partial(largest_between, planes), planes.shape[1:], frame or self._graph_frame(planes))
        if output.ndim == 2:
            mask = np.clip(np.round(output), 0, BEYOND).astype(np.uint8)
        else:
            mask = self._planes(output).argmax(axis=0).astype(np.uint8)
        return mask if frame is None else in_picture(partial(nearest, mask), mask.shape, frame)

    def _graph_frame(self, planes: Array) -> Frame:
        """Return the frame of a picture of the graph's own size: its input's, or the output's for no picture."""
        rows, own = self.signature.input, (int(planes.shape[1]), int(planes.shape[2]))
        height, width = getattr(rows, "height", own[0]), getattr(rows, "width", own[1])
        return Frame(width, height, width, height, 1.0, 1.0)

    def _planes(self, output: Array) -> Array:
        """Return numbers of which the largest decides, shape (labels, height, width)."""
        planes = np.moveaxis(output, -1, 0) if self.output.channels_last else output
        if len(planes) > 1:
            return planes
        return np.concatenate([np.full_like(planes, self.output.threshold), planes])

    def _truth(self, label: Any) -> npt.NDArray[np.uint8]:
        """Return a row's label as a mask."""
        if not isinstance(label, Mapping):
            mask = np.asarray(label, np.int64)
            if mask.ndim != 2 or (mask < 0).any() or (mask > BEYOND).any():
                raise ValueError("a mask has two axes, and numbers from 0 to 255")
            return mask.astype(np.uint8)
        sizes = {tuple(mask["size"]) for mask in label["masks"].values()}
        [(height, width)] = sizes
        truth = np.zeros((height, width), np.uint8)
        for name, mask in label["masks"].items():
            number = self.output.labels.index(name) if name in self.output.labels else 0
            truth[decode_runs(mask["counts"], height, width)] = number
        return truth
