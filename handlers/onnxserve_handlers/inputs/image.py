"""Images: each row is an encoded image, as raw bytes or as base64 in JSON."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import InvalidRow
from ..signature import FILE_BYTES, Schema, object_schema
from . import BASE64, EncodedInput, InputOptions, Positive
from .image_decoding import MAGIC, decode, normalise, pixels_of
from .image_libtiff import listen
from .image_placement import Frame, OddCut, Placement, place

Level = Annotated[int, msgspec.Meta(ge=0, le=255)]
Colour = Level | Annotated[tuple[Level, ...], msgspec.Meta(min_length=1, max_length=3)]
PerChannel = float | Annotated[tuple[float, ...], msgspec.Meta(min_length=1, max_length=3)]
Layout = Literal["NCHW", "NHWC"]
FULL = 255  # of a channel's level in an image of 8 bits
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class ImageOptions(InputOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which images are accepted, and how they become arrays."""

    kind: Literal["image"] = "image"
    """Rows are encoded images; the graph's input is `image`, shape (rows, channels, height, width)."""
    max_bytes: Positive = FILE_BYTES
    """Largest body of a request [bytes]."""
    height: Positive
    """Height of the graph's images [pixels]."""
    width: Positive
    """Width of the graph's images [pixels]."""
    channels: Literal[1, 3] = 3
    """Channels of an image: 1 for grey, 3 for colour [channels]."""
    resize: Literal["stretch", "crop", "letterbox"] = "stretch"
    """How an image gets `height` and `width`: stretched; scaled by its shorter side, then cut to the middle; or scaled
    by its longer side, between two bars."""
    shorter_side: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Length of the shorter side before the cut, for `crop`; 0 for the shortest that covers the cut [pixels].

    With `stretch`, the image becomes a square of this side, of which the middle is cut; 0 for no cut."""
    odd_cut: OddCut = "even"
    """Where a cut begins that leaves an odd number of pixels out: at the `even` one of both middle places, as
    torchvision's CenterCrop does, or at the `first`, as image processors of transformers do."""
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    """Pillow's filter for scaling; all but `nearest` smooth when they reduce."""
    bars: Colour = 114
    """Colour of the bars of `letterbox`: a level of grey from 0 to 255, or red, green and blue."""
    channel_order: Literal["RGB", "BGR"] = "RGB"
    """Order of the channels in the graph's input, and in `mean` and `std`."""
    layout: Layout = "NCHW"
    """Order of the axes: batch (N), channels (C), height (H) and width (W)."""
    dtype: Literal["float32", "uint8"] = "float32"
    """Type of the elements; `uint8` are the pixels themselves, without `pixel_max`, `mean` and `std`."""
    pixel_max: Literal[1, 255] = 255
    """Value of a full channel before `mean` and `std`: with 1, pixels range from 0 to 1."""
    mean: PerChannel = 127.0
    """Number that is subtracted from each pixel: one, or one for each channel."""
    std: PerChannel = 128.0
    """Number by which each pixel is then divided: one, or one for each channel."""
    max_pixels: Positive = 16_000_000
    """Largest image that is decoded [pixels]."""
    background: Colour = 255
    """Colour behind the transparent parts of an image: a level of grey from 0 to 255, or red, green and blue."""

    row_name: ClassVar[str] = "image"

    @classmethod
    def questions(cls, known: Mapping[str, Any]) -> Mapping[str, str]:
        """Return what pixels become, unless they stay as they are."""
        if known.get("dtype") == "uint8":
            return {}
        levels = "0 to 1" if known.get("pixel_max") == 1 else "0 to 255, or 0 to 1 with input.pixel_max = 1"
        return {
            "mean": f"what is subtracted from each channel, whose levels are {levels}; only the model's maker knows it",
            "std": "what each channel is then divided by, which only the model's maker knows",
        }

    def __post_init__(self) -> None:
        if faults := list(self._faults()):
            raise ValueError("; ".join(faults))

    def _faults(self) -> Iterator[str]:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if isinstance(values, tuple) and len(values) != self.channels:
                yield f"{name} has {len(values)} numbers for {self.channels} channels: give one, or one for each"
        for name, colour in (("background", self.background), ("bars", self.bars)):
            if isinstance(colour, tuple) and len(colour) != 3:
                yield f"{name} has {len(colour)} numbers: give a level of grey, or red, green and blue"
        if 0 in np.atleast_1d(self.std):
            yield "std must not be 0"
        largest = float(np.max(np.abs(self.mean)))
        if self.pixel_max == 1 and largest > 1:
            yield f"mean = {largest:g} is beyond pixel_max = 1: give mean and std for pixels from 0 to 1"
        if self.pixel_max == FULL and isinstance(self.mean, tuple) and 0 < max(self.mean) <= 1:
            yield "mean and std look like numbers for pixels from 0 to 1: set pixel_max = 1"
        if self.channel_order == "BGR" and self.channels == 1:
            yield 'channel_order = "BGR" needs channels = 3'
        yield from self._cut_faults()

    def _cut_faults(self) -> Iterator[str]:
        if not self.shorter_side:
            return
        if self.resize == "letterbox":
            yield 'shorter_side needs resize = "crop" or "stretch", got "letterbox"'
        if self.shorter_side < max(self.height, self.width):
            yield f"shorter_side = {self.shorter_side} is less than the cut, {self.width} x {self.height}"
        if self.shorter_side**2 > self.max_pixels:
            yield f"max_pixels = {self.max_pixels} is less than shorter_side squared"

    @property
    def is_loggable(self) -> bool:
        """Whether the prediction log may keep rows: never."""
        return False

    @property
    def scale(self) -> PerChannel:
        """What `std` was called until 0.2; handlers of users' own may read it."""
        return self.std


class ImageRow(npt.NDArray[np.uint8]):
    """The pixels of one row in RGB or grey, shape (height, width, channels), and the size of the client's image."""

    source_size: tuple[int, int] = (0, 0)  # width and height [pixels], upright


class ImageInput(EncodedInput):
    """Rows are images; each becomes an array of (pixel - mean) / std, in the options' layout."""

    input_options = ImageOptions
    raw_types = ("image/png", "image/jpeg", "image/webp", "image/bmp", "image/gif", "image/tiff")
    row_keys: tuple[str, ...] = ("image", "b64", "data")

    @property
    def options(self) -> ImageOptions:
        """The kind's part of the signature."""
        return cast("ImageOptions", self.signature.input)

    def prepare(self) -> None:
        """Start the decoder's threads, and learn of damaged TIFFs."""
        super().prepare()
        listen()

    def raw(self, content: bytes | bytearray) -> bool:
        """Recognise an image by its first bytes, so that `curl -T picture.png` works."""
        return content.startswith(MAGIC)

    def share(self, content: bytes | bytearray) -> float:
        """Return what share of `max_pixels` an image has by its header."""
        return pixels_of(content) / self.options.max_pixels

    def check(self, instance: Any, where: str) -> ImageRow:
        """Decode, check, turn and resize one image; returns uint8, shape (height, width, channels).

        Raises InvalidRow, UndecodableBody or BodyTooLarge.
        """
        spec = self.options
        upright = normalise(decode(self.content(instance, where), spec.max_pixels, where), spec, where)
        placed = self.placement(upright.size)
        if placed.width * placed.height > max(spec.max_pixels, spec.width * spec.height):
            size = f"{upright.width} x {upright.height}"
            raise InvalidRow(f"the image is too narrow to be cut: {size} pixels", where=where, fix="cut it to its part")
        resized = np.asarray(self.to_size(upright), dtype=np.uint8).reshape(spec.height, spec.width, spec.channels)
        row = resized.view(ImageRow)
        row.source_size = upright.size
        return row

    def placement(self, source_size: tuple[int, int]) -> Placement:
        """Return where an image of this width and height lies in the graph's."""
        spec = self.options
        return place(source_size, (spec.width, spec.height), spec.resize, spec.shorter_side, spec.odd_cut)

    def to_size(self, image: Image.Image) -> Image.Image:
        """Return an upright image in the graph's size; a handler of your own may resize it otherwise."""
        spec, placed = self.options, self.placement(image.size)
        scaled = image.resize((placed.width, placed.height), FILTERS[spec.interpolation])
        if scaled.size == (spec.width, spec.height):
            return scaled
        canvas = Image.new(image.mode, (spec.width, spec.height), convert_colour(spec.bars, image.mode))
        canvas.paste(scaled, (placed.left, placed.top))
        return canvas

    def origins(self, rows: Sequence[Any]) -> Sequence[Frame] | None:
        """Return where the graph's pixels lie in each image.

        None for rows that a handler of a user's own made, or resized without a `placement` of its own.
        """
        cls = type(self)
        is_own = cls.to_size is not ImageInput.to_size and cls.placement is ImageInput.placement
        if is_own or not all(isinstance(row, ImageRow) for row in rows):
            return None
        target, sizes = (self.options.width, self.options.height), [row.source_size for row in rows]
        return [self.placement(size).frame(size, target) for size in sizes]

    def sample(self, draws: np.random.Generator) -> str:
        """Return an image of random pixels of the model's own size, a PNG in base64."""
        spec = self.options
        pixels = draws.integers(0, 256, (spec.height, spec.width, spec.channels), np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels if spec.channels == 3 else pixels[:, :, 0]).save(stream, "PNG")
        return b64encode(stream.getvalue()).decode()

    def measures(self, rows: Sequence[npt.NDArray[np.uint8]]) -> Mapping[str, npt.NDArray[np.float64]]:
        """Return each image's mean brightness and its standard deviation, both from 0 to 255, shape (rows,)."""
        return {
            "brightness": np.array([float(row.mean()) for row in rows]),
            "contrast": np.array([float(row.std()) for row in rows]),
        }

    def tensors(self, rows: Sequence[npt.NDArray[np.uint8]]) -> dict[str, npt.NDArray[Any]]:
        """Return `image` in the options' dtype, shape (rows, channels, height, width) or with the channels last."""
        spec = self.options
        sizes = {"N": len(rows), "C": spec.channels, "H": spec.height, "W": spec.width}
        pixels = self.buffers.take("image", tuple(sizes[axis] for axis in spec.layout), np.dtype(spec.dtype))
        for index, row in enumerate(rows):
            ordered = row[:, :, ::-1] if spec.channel_order == "BGR" else row
            pixels[index] = ordered.transpose(2, 0, 1) if spec.layout == "NCHW" else ordered
        if spec.dtype == "float32":
            mean, std = self.levels
            pixels -= mean
            pixels /= std
        return {"image": pixels}

    @cached_property
    def levels(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """`mean` and `std` in levels from 0 to 255, in a shape that fits the layout."""
        spec = self.options
        shape = (-1, 1, 1) if spec.layout == "NCHW" else (-1,)
        levels = [np.asarray(values, np.float64) * (FULL / spec.pixel_max) for values in (spec.mean, spec.std)]
        mean, std = (level.astype(np.float32).reshape(shape) for level in levels)
        return mean, std

    def row_schema(self) -> Schema:
        """Return the schema of `{"image": ...}`."""
        return object_schema({"image": BASE64}, ["image"])


def convert_colour(colour: Colour, mode: str) -> int | tuple[int, ...]:
    """Return a colour in mode `RGB` or `L`; the grey of a colour is its luma, as Pillow converts it."""
    channels = (colour,) * 3 if isinstance(colour, int) else colour
    return channels if mode == "RGB" else Image.new("RGB", (1, 1), channels).convert("L").tobytes()[0]
