"""What of an embedding drift looks at: its norm, its angle to the centre, its place along the main directions."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

PREFIX = "embedding."
TINY = 1e-12


class Space(msgspec.Struct, frozen=True):
    """Of the rows that the archive was proven with: their mean, and the axes along which they vary most."""

    centre: tuple[float, ...]
    axes: tuple[tuple[float, ...], ...]


def placed(vectors: npt.NDArray[Any], space: Space) -> dict[str, npt.NDArray[Any]]:
    """Measures of `vectors`, shape (rows, width); the exporter's are made in the same way."""
    centre, axes = np.array(space.centre), np.array(space.axes)
    norms = np.linalg.norm(vectors, axis=1)
    found = {
        PREFIX + "norm": norms,
        PREFIX + "cosine": vectors @ centre / np.maximum(norms * np.linalg.norm(centre), TINY),
    }
    for number, along in enumerate(((vectors - centre) @ axes.T).T, 1):
        found[f"{PREFIX}{number}"] = along
    return found
