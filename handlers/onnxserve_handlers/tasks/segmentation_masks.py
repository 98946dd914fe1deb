"""Masks: label numbers by pixel, between a graph's pixels, as run lengths or as a PNG file; how alike two are."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..inputs.image_placement import Frame

Array = npt.NDArray[Any]
SIGNATURE = b"\x89PNG\r\n\x1a\n"
BEYOND = 255  # the number of pixels that the graph didn't see, or that count for nothing
BLOCK = 2**16  # numbers that are interpolated at once: they stay in the processor's cache


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


def in_picture(numbers: Callable[[Array, Array], Array], size: tuple[int, ...], frame: Frame) -> npt.NDArray[np.uint8]:
    """Return the number of each of a picture's pixels, shape (height, width); BEYOND where the graph saw nothing.

    `numbers` takes places of rows and columns in an output of `size` (height, width), in its pixels, whose edges are
    at whole numbers.
    """
    mask = np.full((frame.height, frame.width), BEYOND, np.uint8)
    rows, columns = frame.centres_in(size[0], size[1])
    seen = [slice(*np.searchsorted(places, [0, end])) for places, end in zip((rows, columns), size, strict=True)]
    mask[seen[0], seen[1]] = numbers(rows[seen[0]], columns[seen[1]])
    return mask


def nearest(mask: Array, rows: Array, columns: Array) -> npt.NDArray[np.uint8]:
    """Return the number of the pixel of a mask in which each place lies, shape (rows, columns)."""
    return np.asarray(mask[rows.astype(np.intp)][:, columns.astype(np.intp)], np.uint8)


def largest_between(planes: Array, rows: Array, columns: Array) -> npt.NDArray[np.uint8]:
    """Return the number of the plane that is largest at each place, shape (rows, columns).

    `planes` have the shape (planes, height, width), and places are in their pixels, whose edges are at whole numbers.
    Numbers between the pixels' centres are interpolated as torch's `interpolate(mode="bilinear", align_corners=False)`
    does. A plane that is largest at all four centres around a place is the largest there too, since the weights are
    not negative: so only places between centres of several labels are computed.
    """
    pixels = np.ascontiguousarray(np.moveaxis(planes, 0, -1), np.float32)
    height, width, count = pixels.shape
    largest = pixels.argmax(axis=-1).astype(np.uint8)
    top, down = _centres_before(rows, height)
    left, right_share = _centres_before(columns, width)
    right = np.minimum(left + 1, width - 1)
    mixed, mask = _mixed_cells(largest), nearest(largest, top, left)
    step = max(1, BLOCK // count)
    for row in np.flatnonzero(mixed.any(axis=1)):
        places = np.flatnonzero(mixed[row, left])
        lines = np.arange(*np.searchsorted(top, [row, row + 1]))
        for part in (places[start : start + step] for start in range(0, len(places), step)):
            share = right_share[part, None]
            upper, lower = (
                line[left[part]] * (1 - share) + line[right[part]] * share
                for line in (pixels[row], pixels[min(row + 1, height - 1)])
            )
            for line in lines:
                mask[line, part] = (upper * (1 - down[line]) + lower * down[line]).argmax(axis=1)
    return mask


def _centres_before(places: Array, size: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Return the pixel whose centre lies before each place, and how far it is to the next centre, from 0 to 1."""
    inside = np.clip(places - 0.5, 0, size - 1)
    before = inside.astype(np.intp)
    return before, (inside - before).astype(np.float32)


def _mixed_cells(numbers: Array) -> npt.NDArray[np.bool_]:
    """Return where a pixel, the next in its row, and both below them aren't all equal, shape (height, width)."""
    mixed = np.zeros(numbers.shape, bool)
    mixed[:-1] |= numbers[:-1] != numbers[1:]
    across = numbers[:, :-1] != numbers[:, 1:]
    mixed[:, :-1] |= across
    mixed[:-1, :-1] |= across[1:]
    return mixed
