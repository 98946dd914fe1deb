"""Where a client's image lies in the graph's image: stretched, cut to the middle, or between bars."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal, NamedTuple

from .image_frame import Frame

Size = tuple[int, int]  # width and height [pixels]


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


def place(source: Size, target: Size, resize: Literal["stretch", "crop", "letterbox"], shorter: int = 0) -> Placement:
    """Return where an image lies; `shorter` is the length of its shorter side before a cut, 0 for the least."""
    if resize == "stretch":
        return Placement(*target, 0, 0)
    ratios = [Fraction(after, before) for before, after in zip(source, target, strict=True)]
    if resize == "crop":
        # Whole pixels as torchvision's Resize and CenterCrop choose them.
        factor = max(*ratios, Fraction(shorter, min(source)))
        width, height = (int(side * factor) for side in source)
        return Placement(width, height, -round((width - target[0]) / 2), -round((height - target[1]) / 2))
    factor = min(ratios)
    width, height = (max(1, round(side * factor)) for side in source)
    return Placement(width, height, (target[0] - width) // 2, (target[1] - height) // 2)
