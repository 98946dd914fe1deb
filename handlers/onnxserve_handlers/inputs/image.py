"""Images: each row is an encoded image, as raw bytes or as base64 in JSON."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
from base64 import b64encode
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from ..errors import BodyTooLarge, InvalidRow, UndecodableBody
from ..protocols.body import from_base64, json_type, unwrap
from ..runtime.batching import guard
from ..signature import Schema, object_schema
from . import InputHooks, InputOptions, Positive
from .frame import Frame

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"BM", b"GIF8")
BASE64: Schema = {"type": "string", "contentEncoding": "base64"}


class ImageOptions(InputOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which images are accepted, and how they become arrays."""

    kind: Literal["image"] = "image"
    """Rows are encoded images; the graph's input `image` is float32, shape (rows, channels, height, width)."""
    height: Positive
    """Height to which an image is scaled [pixels]."""
    width: Positive
    """Width to which an image is scaled [pixels]."""
    channels: Literal[1, 3] = 3
    """Channels of an image: 1 for grey, 3 for RGB [channels]."""
    mean: float = 127.0
    """Value that is subtracted from each channel of an image."""
    scale: float = 128.0
    """Value by which each channel of an image is then divided."""
    max_pixels: Positive = 16_000_000
    """Largest image that is decoded [pixels]."""
    background: Annotated[int, msgspec.Meta(ge=0, le=255)] = 255
    """Grey level behind the transparent parts of an image, from 0 to 255."""

    row_name: ClassVar[str] = "image"

    @property
    def logged(self) -> bool:
        """Whether the prediction log may keep rows: never."""
        return False


class ImageRow(npt.NDArray[np.uint8]):
    """The pixels of one row in RGB or grey, shape (height, width, channels), and the size of the client's image."""

    source_size: tuple[int, int] = (0, 0)  # width and height [pixels], upright


class ImageInput(InputHooks):
    """Rows are images; each becomes a float32 array (channels, height, width) of (pixel - mean) / scale."""

    input_options = ImageOptions
    raw_types = ("image/png", "image/jpeg", "image/webp", "image/bmp", "image/gif")
    row_keys: tuple[str, ...] = ("image", "b64", "data")
    decoders: ThreadPoolExecutor | None = None

    @property
    def options(self) -> ImageOptions:
        """The kind's part of the signature."""
        return cast("ImageOptions", self.signature.input)

    def raw(self, content: bytes | bytearray) -> bool:
        """Recognise an image by its first bytes, so that `curl -T picture.png` works."""
        return content.startswith(MAGIC)

    def prepare(self) -> None:
        """Start as many threads for decoding as the model may use."""
        if self.threads > 1:
            self.decoders = ThreadPoolExecutor(self.threads, "decode")

    def check(self, instance: Any, where: str) -> ImageRow:
        """Decode, check, turn and resize one image; returns uint8, shape (height, width, channels)."""
        content = self._content(instance, where)
        with warnings.catch_warnings():
            # `_check_size` bounds the pixels before any is decoded; Pillow's other warnings are about damaged EXIF.
            warnings.simplefilter("ignore")
            return self._pixels(self._decode(content, where))

    def check_all(self, instances: Sequence[Any], places: Sequence[int]) -> list[Any]:
        """Decode all images of a batch in parallel: Pillow's decoders release the interpreter's lock."""
        if self.decoders is None or len(instances) < 2:
            return super().check_all(instances, places)
        return list(self.decoders.map(self._check_guarded, instances, places))

    def _check_guarded(self, instance: Any, place: int) -> Any:
        return guard(partial(self.check, instance, f"instances[{place}]"))

    def _content(self, instance: Any, where: str) -> bytes | bytearray:
        instance = unwrap(instance, self.row_keys)
        if isinstance(instance, bytes | bytearray):
            return instance
        if not isinstance(instance, str):
            raise InvalidRow(
                f"expected base64 text, got {json_type(instance)}", where=where, fix='send {"image": "<base64>"}'
            )
        return from_base64(instance, where)

    def _decode(self, content: bytes | bytearray, where: str) -> Image.Image:
        try:
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            self._check_size(image, where)
            image.load()
        except (BodyTooLarge, InvalidRow):
            raise
        except Image.DecompressionBombError as error:
            raise BodyTooLarge("the image has too many pixels", where=where, fix="scale it down") from error
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError) as error:
            # Pillow's decoders report damage in all these ways.
            raise UndecodableBody(
                f"not a readable image of {', '.join(FORMATS)}", where=where, fix="check the file"
            ) from error
        if image.format == "PNG" and is_cut_short(content):
            raise UndecodableBody("the PNG file is cut short", where=where, fix="send the whole file")
        return image

    def _check_size(self, image: Image.Image, where: str) -> None:
        pixels, limit = image.width * image.height, self.options.max_pixels
        if pixels > limit:
            raise BodyTooLarge(
                f"the image has {pixels} pixels, at most {limit} are accepted", where=where, fix="scale it down"
            )
        if pixels == 0:
            raise InvalidRow("the image has no pixels", where=where)

    def _pixels(self, image: Image.Image) -> ImageRow:
        spec = self.options
        upright = normalise(image, spec.channels, spec.background)
        resized = self.to_size(upright)
        row = np.asarray(resized, dtype=np.uint8).reshape(spec.height, spec.width, spec.channels).view(ImageRow)
        row.source_size = upright.size
        return row

    def origins(self, rows: Sequence[Any]) -> Sequence[Frame]:
        """Return where the graph's pixels lie in each image."""
        spec = self.options
        return [
            Frame(*row.source_size, spec.width, spec.height, row.source_size[0] / spec.width, row.source_size[1] / spec.height)
            for row in rows
        ]

    def to_size(self, image: Image.Image) -> Image.Image:
        """Return an upright image stretched to the options' size; a handler of your own may cut it to that size."""
        return image.resize((self.options.width, self.options.height), Image.Resampling.BILINEAR)

    def sample(self, draws: np.random.Generator) -> str:
        """Return an image of random pixels of the model's own size, a PNG in base64."""
        spec = self.options
        pixels = draws.integers(0, 256, (spec.height, spec.width, spec.channels), np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels if spec.channels == 3 else pixels[:, :, 0]).save(stream, "PNG")
        return b64encode(stream.getvalue()).decode()

    def measures(self, rows: Sequence[npt.NDArray[np.uint8]]) -> Mapping[str, npt.NDArray[np.float64]]:
        """Return each image's mean brightness and its standard deviation, both from 0 to 255."""
        return {
            "brightness": np.array([float(row.mean()) for row in rows]),
            "contrast": np.array([float(row.std()) for row in rows]),
        }

    def tensors(self, rows: Sequence[npt.NDArray[np.uint8]]) -> dict[str, npt.NDArray[np.float32]]:
        """Return `image`, float32, shape (rows, channels, height, width): (pixel - mean) / scale."""
        spec = self.options
        pixels = self.buffers.take("image", (len(rows), spec.channels, spec.height, spec.width), np.float32)
        for index, row in enumerate(rows):
            pixels[index] = row.transpose(2, 0, 1)
        pixels -= np.float32(spec.mean)
        pixels /= np.float32(spec.scale)
        return {"image": pixels}

    def row_schema(self) -> Schema:
        """Return the schema of `{"image": ...}`."""
        return object_schema({"image": BASE64}, ["image"])


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
CHUNK = struct.Struct(">I4s")  # of a PNG: how many bytes of data, and its kind; a checksum of 4 bytes follows the data
PNG_HEADER_BYTES = 8  # before the first chunk


def normalise(image: Image.Image, channels: int, background: int) -> Image.Image:
    """Return an upright image in mode `RGB` for 3 channels, else `L`, with a grey background behind transparency."""
    upright = turn_upright(image)
    if upright.mode.startswith("I"):
        upright = reduce_depth(upright)
    if upright.has_transparency_data:
        upright = fill_background(upright, background)
    if upright.mode == "CMYK":  # Pillow converts it to grey only by way of RGB
        upright = upright.convert("RGB")
    return upright.convert("RGB" if channels == 3 else "L")


def turn_upright(image: Image.Image) -> Image.Image:
    """Turn the image as its EXIF orientation says; damaged EXIF is ignored."""
    turn = None
    with contextlib.suppress(Exception):  # Pillow reports damage in many ways, and the pixels are whole
        turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    return image if turn is None else image.transpose(turn)


def reduce_depth(image: Image.Image) -> Image.Image:
    """Reduce grey from 16 bits to 8; Pillow would make all levels above 255 white. One level may be transparent."""
    levels = np.asarray(image).astype(np.uint32).clip(0, 65535)
    grey = Image.fromarray(((levels * 255 + 32767) // 65535).astype(np.uint8))
    level = image.info.get("transparency")
    if isinstance(level, int):
        grey.putalpha(Image.fromarray(np.where(levels == level, 0, 255).astype(np.uint8)))
    return grey


def fill_background(image: Image.Image, background: int) -> Image.Image:
    """Put a plain grey background behind the image."""
    behind = Image.new("RGBA", image.size, (background, background, background, 255))
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
