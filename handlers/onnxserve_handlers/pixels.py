"""An image as a viewer would show it: upright, on a background, in 8 bits of grey or of red, green and blue."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
from PIL import Image

ORIENTATION = 0x0112  # EXIF 2.32, 4.6.4 A
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
CHUNK = struct.Struct(">I4s")  # of a PNG: bytes of its data, and its kind; a checksum of 4 bytes follows the data
SIGNATURE = 8  # bytes before the first chunk


def shown(image: Image.Image, channels: int, background: int) -> Image.Image:
    """A decoded image in mode `RGB` for 3 channels, else `L`; behind what is transparent is the grey `background`."""
    upright = turned(image)
    if upright.mode.startswith("I"):
        upright = scaled(upright)
    if upright.has_transparency_data:
        upright = composited(upright, background)
    if upright.mode == "CMYK":  # has no way to grey of its own
        upright = upright.convert("RGB")
    return upright.convert("RGB" if channels == 3 else "L")


def turned(image: Image.Image) -> Image.Image:
    """As EXIF says that the camera was held; damaged EXIF says nothing."""
    turn = None
    with contextlib.suppress(Exception):  # Pillow reports damage in many ways, and the pixels are whole
        turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    return image if turn is None else image.transpose(turn)


def scaled(image: Image.Image) -> Image.Image:
    """16 bits of grey to 8, of which Pillow itself makes white of all above 255; one level may be transparent."""
    levels = np.asarray(image).astype(np.uint32).clip(0, 65535)
    grey = Image.fromarray(((levels * 255 + 32767) // 65535).astype(np.uint8))
    level = image.info.get("transparency")
    if isinstance(level, int):
        grey.putalpha(Image.fromarray(np.where(levels == level, 0, 255).astype(np.uint8)))
    return grey


def composited(image: Image.Image, background: int) -> Image.Image:
    """On a plain background."""
    behind = Image.new("RGBA", image.size, (background, background, background, 255))
    return Image.alpha_composite(behind, image.convert("RGBA")).convert("RGB")


def is_cut_short(png: bytes | bytearray) -> bool:
    """Whether a PNG file ends before its last chunk does; its pixels may be whole all the same."""
    at = SIGNATURE
    while at + CHUNK.size <= len(png):
        size, kind = CHUNK.unpack_from(png, at)
        at += CHUNK.size + int(size) + 4
        if kind == b"IEND":
            return at > len(png)
    return True
