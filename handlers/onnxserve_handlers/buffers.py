"""Arrays that are filled again for every batch, instead of being allocated again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt


class Buffers:
    """One growing block of memory per name; what `take` gave is overwritten by the next `take` of that name."""

    def __init__(self) -> None:
        self._blocks: dict[str, npt.NDArray[Any]] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A contiguous array of this shape with whatever was left in it."""
        size = math.prod(shape)
        block = self._blocks.get(name)
        if block is None or block.size < size or block.dtype != dtype:
            block = self._blocks[name] = np.empty(size, dtype)
        return block[:size].reshape(shape)
