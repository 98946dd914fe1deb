"""bytes -> an upright image of 8 bits in RGB or grey, as a viewer shows it."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
from typing import Protocol

from PIL import Image, TiffImagePlugin

from ..errors import BodyTooLarge, InvalidRow, RequestError, UndecodableBody
from . import image_depth
from .image_libtiff import reports

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"BM", b"GIF8", b"II*\0", b"MM\0*")
# Pillow's modes that have one meaning as a picture; others, such as floats of a TIFF, don't say which value is white.
MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "I", "I;16", "I;16L", "I;16B", "I;16N"}
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
LONGEST_SIDE = 65_535  # of a JPEG [pixels]; what scaling needs grows with the longer side, however narrow the image is
JPEG, SCAN = b"\xff\xd8\xff", b"\xff\xda"  # the markers of a file's start and of a scan's (ITU-T T.81, B.1.1.3)
MOST_SCANS = 100  # of a JPEG, which goes over all pixels for each; encoders make about ten
TILE_WIDTH, TILE_LENGTH = 322, 323  # TIFF 6.0, section 15
LEAST_TILE = 1024 * 1024  # pixels that a tile may have, even where an image may not
CHUNK = struct.Struct(">I4s")  # of a PNG: how many bytes of data, and its kind; a checksum of 4 bytes follows the data
PNG_HEADER_BYTES = 8  # before the first chunk


class Picture(Protocol):
    """The options that say what a picture looks like."""

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""

    @property
    def background(self) -> int | tuple[int, ...]:
        """The colour behind transparent parts."""


def decode(content: bytes | bytearray, max_pixels: int, where: str) -> Image.Image:
    """Return the first picture of a file; raises BodyTooLarge, UndecodableBody, or InvalidRow for an empty one."""
    with warnings.catch_warnings():
        # `check_size` bounds the pixels before any is decoded; Pillow's other warnings are about damaged metadata.
        warnings.simplefilter("ignore")
        reported = reports.errors
        try:
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            check_size(image, max_pixels, where)
            check_scans(content, where)
            image_depth.load(image, content)
        except (RequestError, MemoryError):
            raise
        except Image.DecompressionBombError as error:
            raise BodyTooLarge("the image has too many pixels", where=where, fix="scale it down") from error
        except Exception as error:  # Pillow's decoders report damage in many ways
            raise UndecodableBody(
                f"not a readable image of {', '.join(FORMATS)}", where=where, fix="check the file"
            ) from error
    if image.format == "TIFF" and reports.errors > reported:
        raise UndecodableBody("the TIFF file is damaged", where=where, fix="check the file")
    if image.format == "PNG" and is_cut_short(content):
        raise UndecodableBody("the PNG file is cut short", where=where, fix="send the whole file")
    return image


def pixels_of(content: bytes | bytearray) -> int:
    """Return how many pixels a file has by its header; 0 for one that can't be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(content), formats=FORMATS)
        except Exception:  # noqa: BLE001 - `decode` says what is wrong
            return 0
    return image.width * image.height


def check_size(image: Image.Image, max_pixels: int, where: str) -> None:
    """Raise BodyTooLarge or InvalidRow for an image with too many pixels or none."""
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise BodyTooLarge(
            f"the image has {pixels} pixels, at most {max_pixels} are accepted", where=where, fix="scale it down"
        )
    if max(image.size) > LONGEST_SIDE:
        reason = f"the image is {image.width} x {image.height} pixels, at most {LONGEST_SIDE} a side are accepted"
        raise BodyTooLarge(reason, where=where, fix="scale it down")
    if pixels == 0:
        raise InvalidRow("the image has no pixels", where=where, fix="check the file")
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        check_tile(image, max_pixels, where)


def check_tile(image: TiffImagePlugin.TiffImageFile, max_pixels: int, where: str) -> None:
    """Raise BodyTooLarge for a TIFF whose tiles have too many pixels: each is decoded as a whole, beyond the image."""
    width, length = (image.tag_v2.get(tag, 0) for tag in (TILE_WIDTH, TILE_LENGTH))
    most = max(max_pixels, LEAST_TILE)
    if width * length > most:
        reason = f"the image has tiles of {width} x {length} pixels, at most {most} pixels are accepted"
        raise BodyTooLarge(reason, where=where, fix="save it with smaller tiles")


def check_scans(content: bytes | bytearray, where: str) -> None:
    """Raise BodyTooLarge for a JPEG of very many scans: each takes a few bytes, and as long as any other."""
    scans = content.count(SCAN) if content.startswith(JPEG) else 0  # within a scan, a zero follows each 255
    if scans > MOST_SCANS:
        reason = f"the JPEG file has {scans} scans, at most {MOST_SCANS} are accepted"
        raise BodyTooLarge(reason, where=where, fix="save it with the usual number of scans")


def normalise(image: Image.Image, picture: Picture, where: str) -> Image.Image:
    """Return an upright image in mode `RGB` for 3 channels, else `L`, with a background behind transparency.

    Raises InvalidRow for pixels that aren't levels of grey or colours, or UndecodableBody for a damaged palette.
    """
    if image.mode not in MODES:
        raise InvalidRow(
            f"the image has pixels of the kind {image.mode}", where=where, fix="save it as RGB or grey with 8 bits"
        )
    try:
        return to_channels(image, picture)
    except (ValueError, TypeError, OverflowError, SyntaxError) as error:  # Pillow checks some metadata only here
        raise UndecodableBody("the image's colours are damaged", where=where, fix="check the file") from error


def to_channels(image: Image.Image, picture: Picture) -> Image.Image:
    """Return an upright image in mode `RGB` for 3 channels, else `L`; ValueError for damaged transparency."""
    upright = turn_upright(image)
    if upright.mode.startswith("I"):
        upright = image_depth.reduce_grey(upright)
    if upright.has_transparency_data:
        upright = fill_background(upright, picture.background)
    if upright.mode == "CMYK":  # Pillow converts it to grey only by way of RGB
        upright = upright.convert("RGB")
    return upright.convert("RGB" if picture.channels == 3 else "L")


def turn_upright(image: Image.Image) -> Image.Image:
    """Turn the image as its EXIF orientation says; damaged EXIF is ignored."""
    turn = None
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        turn = TURNS.get(image.getexif().get(ORIENTATION, 1))  # damage is reported in many ways; the pixels are whole
    return image if turn is None else image.transpose(turn)


def fill_background(image: Image.Image, background: int | tuple[int, ...]) -> Image.Image:
    """Put a plain colour behind the image."""
    colour = (background,) * 3 if isinstance(background, int) else background
    behind = Image.new("RGBA", image.size, (*colour, 255))
    return Image.alpha_composite(behind, image.convert("RGBA")).convert("RGB")


def is_cut_short(png: bytes | bytearray) -> bool:
    """Return whether a PNG file ends before its last chunk does; its pixels may be complete all the same."""
    position = PNG_HEADER_BYTES
    while position + CHUNK.size <= len(png):
        size, kind = CHUNK.unpack_from(png, position)
        position += CHUNK.size + int(size) + 4
        if kind == b"IEND":
            return position > len(png)
    return True
