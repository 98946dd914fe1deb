"""Levels of 16 bits -> the nearest of 8 bits: v * 255 / 65535, rounded.

Pillow has no colours of 16 bits. It keeps the higher byte of a level, v // 256, which for a quarter of all levels is
one too high or too low. A second reading by the other order of bytes gets the lower ones,
except those of a compressed TIFF with a plane a channel, for which libtiff's reader has one order only.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, TiffImagePlugin

Bytes = npt.NDArray[np.uint8]
# Pillow's names of how a file packs its pixels: those of colours with 16 bits a channel end with the order of bytes.
PLANES = frozenset("RGBACMYK")  # a channel each, as TIFFs may have them
COLOURS = ("RGB;16", "RGBA;16", "RGBX;16", "CMYK;16", *(f"{plane};16" for plane in PLANES))
OTHER_ORDER = {"B": "L", "L": "B", "N": "L" if sys.byteorder == "big" else "B"}
BITS = 258  # of each channel: TIFF 6.0, section 8
GREY_ALPHA, FOUR_BYTES = "LA;16B", "RGBA"  # a grey pixel with alpha has four bytes, and one reading gets all of them
FURTHEST = 128  # that the lower byte may lie from the higher one, so that this is the nearest level


def load(image: ImageFile.ImageFile, content: bytes | bytearray) -> None:
    """Load the pixels of a file that was opened; a transparent colour of 16 bits becomes an alpha channel."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        image.tile = [repack(tile, plane_packing(image, packing_of(tile))) for tile in image.tile]
    packings = [lower_packing(packing_of(tile)) for tile in image.tile]
    image.load()
    if not packings or not all(packings):
        return
    again = np.asarray(read_again(content, str(image.format), packings))
    higher, lower = np.asarray(image), again
    if packings == [FOUR_BYTES]:
        higher, lower = again[..., [0, 0, 0, 2]], again[..., [1, 1, 1, 3]]
    image.paste(Image.frombytes(image.mode, image.size, nearest(higher, lower).tobytes()))
    level = image.info.get("transparency")
    if isinstance(level, tuple) and len(level) == higher.shape[-1]:
        del image.info["transparency"]
        parts = np.array([divmod(part, 256) for part in level], np.uint8).T
        clear = ((higher == parts[0]) & (lower == parts[1])).all(axis=-1)
        image.putalpha(Image.fromarray(np.where(clear, 0, 255).astype(np.uint8)))


def packing_of(tile: Any) -> str:
    """Return how a part of the file packs its pixels."""
    return str(tile.args if isinstance(tile.args, str) else (tile.args or ("",))[0])


def repack(tile: Any, packing: str) -> Any:
    """Return a part of the file that is read as if its pixels were packed like this."""
    return tile._replace(args=packing if isinstance(tile.args, str) else (packing, *(tile.args or ())[1:]))


def plane_packing(image: TiffImagePlugin.TiffImageFile, packing: str) -> str:
    """Return how a plane of a channel is packed; Pillow takes 8 bits a pixel for all that aren't compressed."""
    is_deep = set(image.tag_v2.get(BITS, ())) == {16}
    order = "L" if image.tag_v2.prefix == TiffImagePlugin.II else "B"
    return f"{packing};16{order}" if is_deep and packing in PLANES else packing


def lower_packing(packing: str) -> str:
    """Return the packing that reads the lower bytes; empty for other pixels than colours of 16 bits."""
    if packing == GREY_ALPHA:
        return FOUR_BYTES
    return packing[:-1] + OTHER_ORDER[packing[-1]] if packing[:-1] in COLOURS else ""


def read_again(content: bytes | bytearray, form: str, packings: Sequence[str]) -> Image.Image:
    """Return the picture as it is if its pixels are packed like this."""
    image = Image.open(io.BytesIO(content), formats=(form,))
    assert isinstance(image, ImageFile.ImageFile)  # noqa: S101 - `Image.open` returns no other
    image.tile = [repack(tile, packing) for tile, packing in zip(image.tile, packings, strict=True)]
    image.load()
    return image


def nearest(higher: Bytes, lower: Bytes) -> Bytes:
    """Return the levels of 8 bits: v = 256 h + l is 257 h + (l - h), and 65535 / 255 is 257."""
    difference = lower.astype(np.int16) - higher
    return higher + (difference > FURTHEST) - (difference < -FURTHEST).astype(np.uint8)


def reduce_grey(image: Image.Image) -> Image.Image:
    """Reduce grey from 16 bits; Pillow would make all levels above 255 white. One level may be transparent."""
    levels = np.asarray(image).clip(0, 65535).astype(np.uint16)
    grey = Image.fromarray(nearest((levels >> 8).astype(np.uint8), (levels & 255).astype(np.uint8)))
    level = image.info.get("transparency")
    if isinstance(level, int):
        grey.putalpha(Image.fromarray(np.where(levels == level, 0, 255).astype(np.uint8)))
    return grey
