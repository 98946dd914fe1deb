"""Where a client's image lies in the graph's image: stretched, cut to the middle, or between bars; and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Size = tuple[int, int]  # width and height [pixels]
OddCut = Literal["even", "first"]


class Placement(NamedTuple):
    """The scaled image's size, and the place of its upper left corner in the graph's image [pixels].

    A cut begins within the scaled image, so its corner lies at negative coordinates.
    """

    width: int
    height: int
    left: int
    top: int

    def frame(self, source: Size, target: Size) -> Frame:
        """Return how the graph's pixels lie in the client's image of this size."""
        x_scale, y_scale = source[0] / self.width, source[1] / self.height
        return Frame(*source, *target, x_scale, y_scale, -self.left * x_scale, -self.top * y_scale)


def place(
    source: Size,
    target: Size,
    resize: Literal["stretch", "crop", "letterbox"],
    shorter: int = 0,
    odd_cut: OddCut = "even",
) -> Placement:
    """Return where an image lies; `shorter` is the length of its shorter side before a cut, 0 for the least.

    An image that is stretched becomes a square of that side before the cut, or with 0 exactly the target.
    """
    if resize == "stretch":
        return cut_middle((shorter, shorter) if shorter else target, target, odd_cut)
    ratios = [Fraction(after, before) for before, after in zip(source, target, strict=True)]
    if resize == "crop":
        # Whole pixels as torchvision's Resize chooses them.
        factor = max(*ratios, Fraction(shorter, min(source)))
        return cut_middle((int(source[0] * factor), int(source[1] * factor)), target, odd_cut)
    factor = min(ratios)
    width, height = (max(1, round(side * factor)) for side in source)
    return Placement(width, height, (target[0] - width) // 2, (target[1] - height) // 2)


def cut_middle(scaled: Size, target: Size, odd_cut: OddCut) -> Placement:
    """Return where a scaled image lies whose middle is the graph's image.

    Where half a pixel is left over, torchvision's CenterCrop begins at the `even` place, and `center_crop` of
    transformers at the `first`.
    """
    lost = [side - kept for side, kept in zip(scaled, target, strict=True)]
    left, top = (-(pixels // 2 if odd_cut == "first" else round(pixels / 2)) for pixels in lost)
    return Placement(*scaled, left, top)


def frames(origins: Sequence[Any] | None) -> list[Frame] | None:
    """Return the frames that stand in the rows' origins as such or as JSON values; None where rows have others."""
    try:
        return None if origins is None else [msgspec.convert(origin, Frame, from_attributes=True) for origin in origins]
    except msgspec.ValidationError:
        return None


class Frame(msgspec.Struct, frozen=True):
    """The picture's size, upright, the graph's size [pixels], and how the graph's pixels are spaced in the picture.

    A graph's x is `left + x * x_scale` in the picture, and its y is `top + y * y_scale`. Edges of pixels are at whole
    numbers, so that a picture of 3 pixels reaches from 0 to 3.
    """

    width: int
    height: int
    graph_width: int
    graph_height: int
    x_scale: float
    y_scale: float
    left: float = 0.0
    top: float = 0.0

    def to_source_pixels(self, boxes: Array) -> Array:
        """Return boxes of the graph's pixels, shape (boxes, 4) as left, top, right, bottom, in the picture's pixels.

        What lies beyond the picture is cut off.
        """
        scales = np.array([self.x_scale, self.y_scale] * 2)
        moved = np.asarray(boxes, np.float64) * scales + np.array([self.left, self.top] * 2)
        return np.asarray(np.clip(moved, 0.0, np.array([self.width, self.height] * 2, np.float64)))

    def at_graph_scale(self) -> Frame:
        """Return the frame of the same picture, scaled as it lies in the graph's."""
        width, height = max(1, round(self.width / self.x_scale)), max(1, round(self.height / self.y_scale))
        corner = self.left / self.x_scale, self.top / self.y_scale
        return Frame(width, height, self.graph_width, self.graph_height, 1.0, 1.0, *corner)

    def centres_in(self, height: int, width: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return where the centres of the picture's rows and columns lie in an output of the graph, in its pixels.

        An output of another height and width than the graph's picture covers the same. What the graph saw nothing of
        lies below 0, or at or above the output's size.
        """
        rows = (np.arange(self.height) + 0.5 - self.top) / self.y_scale * (height / self.graph_height)
        columns = (np.arange(self.width) + 0.5 - self.left) / self.x_scale * (width / self.graph_width)
        return np.asarray(rows, np.float64), np.asarray(columns, np.float64)
