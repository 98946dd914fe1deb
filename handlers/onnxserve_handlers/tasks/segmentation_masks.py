"""Masks: label numbers by pixel, as run lengths or as a PNG file, and how alike two of them are."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
SIGNATURE = b"\x89PNG\r\n\x1a\n"
BEYOND = 255  # the number of pixels that the graph didn't see, or that count for nothing


def run_lengths(mask: Array) -> dict[int, list[int]]:
    """Return the run lengths of each number in a mask as COCO counts them, shape (height, width).

    They go down the columns, first over the pixels that have another number: the uncompressed form of
    https://cocodataset.org/#format-data. The pixels are read once, however many numbers there are.
    """
    values = mask.ravel(order="F")
    if not values.size:
        return {}
    edges = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1, [values.size]])
    numbers = values[edges[:-1]]
    order = np.argsort(numbers, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    return {int(numbers[group[0]]): _runs_between(edges[group], edges[group + 1], values.size) for group in groups}


def _runs_between(starts: Array, ends: Array, size: int) -> list[int]:
    """Return run lengths over `size` pixels, of which those from each start to its end are in the mask."""
    lengths: list[int] = np.diff(np.stack([starts, ends], axis=1).ravel(), prepend=0, append=size).tolist()
    return lengths if lengths[-1] else lengths[:-1]


def decode_runs(counts: Sequence[int], height: int, width: int) -> npt.NDArray[np.bool_]:
    """Return the mask of run lengths, shape (height, width); ValueError if they don't add up to its pixels."""
    lengths = np.asarray(counts, np.int64)
    if (lengths < 0).any() or lengths.sum() != height * width:
        raise ValueError(f"{lengths.sum()} pixels in runs for {height} x {width}")
    values = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return values.reshape((height, width), order="F")


def encode_png(mask: Array) -> bytes:
    """Return a mask of numbers from 0 to 255, shape (height, width), as a grey PNG file of 8 bits.

    https://www.w3.org/TR/png-3/: each line begins with its filter, 0 for none.
    """
    height, width = mask.shape
    lines = np.zeros((height, width + 1), np.uint8)
    lines[:, 1:] = mask
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 1)), (b"IEND", b"")]
    return SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def mean_overlap(mask: Array, truth: Array, count: int) -> float:
    """Return the mean intersection over union of the labels below `count` that either mask has, of equal shapes.

    It is the mean IU of J. Long, E. Shelhamer, T. Darrell, "Fully convolutional networks for semantic segmentation",
    CVPR 2015. Pixels whose truth is BEYOND count for nothing. 1 where no pixel counts.
    """
    counted = truth != BEYOND
    left, right = mask[counted].astype(np.intp), truth[counted].astype(np.intp)
    left = np.minimum(left, count)  # beyond the labels: a row of its own
    pairs = np.bincount(left * (count + 1) + np.minimum(right, count), minlength=(count + 1) ** 2)
    table = pairs.reshape(count + 1, count + 1)
    both = np.diag(table)[:count]
    union = (table.sum(axis=0) + table.sum(axis=1))[:count] - both
    present = union > 0
    return float(np.mean(both[present] / union[present])) if present.any() else 1.0


def resize(mask: Array, height: int, width: int) -> Array:
    """Return a mask of shape (height, width), each pixel with the number of the one in which its centre lies."""
    rows = (np.arange(height) * 2 + 1) * mask.shape[0] // (2 * height)
    columns = (np.arange(width) * 2 + 1) * mask.shape[1] // (2 * width)
    return np.asarray(mask[rows[:, None], columns])
