"""Images of 16 bits a channel: each level becomes the nearest of 8 bits."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from onnxserve_handlers.errors import UndecodableBody
from onnxserve_handlers.inputs.image_decoding import decode, normalise
from onnxserve_handlers.inputs.image_depth import nearest

Levels = npt.NDArray[np.uint16]
EVERY = np.arange(65536)
SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, COLOUR, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 4, 6  # of a PNG (ISO/IEC 15948, 11.2.2)
FILTERS = 5
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # 8.2
NONE, DEFLATE = 1, 8  # compressions of a TIFF


@dataclass(frozen=True)
class Options:
    """A picture of a model."""

    channels: int = 3
    background: int = 255


def png(levels: Levels, kind: int, *, interlaced: bool = False, transparent: tuple[int, ...] = ()) -> bytes:
    """A file with levels of 16 bits, shape (height, width, channels), whose lines use all filters in turn."""
    height, width, channels = levels.shape
    parts = [levels[y::dy, x::dx] for x, y, dx, dy in PASSES] if interlaced else [levels]
    lines = b"".join(_filtered(part, 2 * channels) for part in parts if part.size)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, interlaced)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    if transparent:
        chunks.insert(1, (b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)))
    return SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def _filtered(levels: Levels, step: int) -> bytes:
    """The lines of a pass, filtered as ISO/IEC 15948 says in 9.2; `step` is how many bytes a pixel has."""
    rows = np.frombuffer(levels.astype(">u2").tobytes(), np.uint8).reshape(len(levels), -1).astype(int)
    out, above = b"", np.zeros(rows.shape[1], int)
    for number, row in enumerate(rows):
        left, corner = (np.concatenate([np.zeros(step, int), each[:-step]]) for each in (row, above))
        guess = left + above - corner
        distances = [abs(guess - each) for each in (left, above, corner)]
        closest = np.choose(np.argmin(distances, axis=0), [left, above, corner])
        predicted = [0, left, above, (left + above) // 2, closest][number % FILTERS]
        out += bytes([number % FILTERS]) + ((row - predicted) % 256).astype(np.uint8).tobytes()
        above = row
    return out


def tiff(levels: Levels, order: str, compression: int, *, planar: bool = False) -> bytes:
    """A file of one strip, or of one a channel; `order` is that of its bytes, `<` or `>`."""
    height, width, channels = levels.shape
    planes = [levels[..., at] for at in range(channels)] if planar else [levels]
    strips = [plane.astype(f"{order}u2").tobytes() for plane in planes]
    strips = [zlib.compress(strip) if compression == DEFLATE else strip for strip in strips]
    fields = {
        256: [width],
        257: [height],
        258: [16] * channels,
        259: [compression],
        262: [5 if channels == 4 else 2],
        273: [0] * len(strips),
        277: [channels],
        278: [height],
        279: [*map(len, strips)],
        284: [2 if planar else 1],
    }
    start = 8 + 2 + 12 * len(fields) + 4
    values = start + sum(4 * len(numbers) for numbers in fields.values() if len(numbers) > 1)
    fields[273] = [values + sum(map(len, strips[:at])) for at in range(len(strips))]
    entries, beyond = b"", b""
    for tag, numbers in fields.items():
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            packed, beyond = struct.pack(f"{order}I", start + len(beyond)), beyond + packed
        entries += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + packed
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    return head + struct.pack(f"{order}H", len(fields)) + entries + bytes(4) + beyond + b"".join(strips)


def read(content: bytes, channels: int = 3, background: int = 255) -> npt.NDArray[np.uint8]:
    picture = normalise(decode(content, 10**6, "instances[0]"), Options(channels, background), "instances[0]")
    return np.asarray(picture)


def right(levels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """By the definition, in floats."""
    return np.round(levels / 65535 * 255)


@pytest.fixture
def levels(draws: np.random.Generator) -> Levels:
    """Every level of 16 bits in each of four channels, and an odd size."""
    return np.stack([draws.permutation(EVERY)[: 255 * 257].reshape(255, 257) for _ in range(4)], -1).astype(np.uint16)


@pytest.fixture
def draws() -> np.random.Generator:
    return np.random.default_rng(7)


def test_of_every_level_the_nearest_is_taken():
    higher, lower = (EVERY >> 8).astype(np.uint8), (EVERY & 255).astype(np.uint8)
    assert np.array_equal(nearest(higher, lower), right(EVERY))
    wrong = higher - right(EVERY)
    assert (set(wrong), int((wrong != 0).sum())) == ({-1.0, 0.0, 1.0}, 16256), "what the higher byte alone would give"


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_png_of_colours_keeps_the_nearest_levels(levels, interlaced):
    assert np.array_equal(read(png(levels[..., :3], COLOUR, interlaced=interlaced)), right(levels[..., :3]))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("compression", "planar"), [(NONE, False), (DEFLATE, False), (NONE, True)])
def test_so_does_a_tiff(levels, order, compression, planar):
    content = tiff(levels[..., :3], order, compression, planar=planar)
    assert np.array_equal(read(content), right(levels[..., :3]))


@pytest.mark.parametrize("order", ["<", ">"])
def test_compressed_planes_keep_the_higher_byte(levels, order):
    """Documented in docs/reference/requests.md: one level from the nearest at most."""
    content = tiff(levels[..., :3], order, DEFLATE, planar=True)
    assert np.array_equal(read(content), levels[..., :3] >> 8)


def test_planes_of_inks_are_refused_since_pillow_would_take_halves_of_levels_for_pixels(levels):
    with pytest.raises(UndecodableBody, match="not a readable image"):
        read(tiff(levels, "<", NONE, planar=True))


@pytest.mark.parametrize("order", ["<", ">"])
def test_inks_are_scaled_before_they_become_colours(levels, order):
    inks = Image.frombytes("CMYK", (257, 255), right(levels).astype(np.uint8).tobytes())
    assert np.array_equal(read(tiff(levels, order, NONE)), np.asarray(inks.convert("RGB")))


@pytest.mark.parametrize("kind", [GREY_ALPHA, COLOUR_ALPHA])
def test_alpha_is_scaled_too(levels, kind):
    shown = levels if kind == COLOUR_ALPHA else levels[..., [0, 0, 0, 3]]
    own = Image.frombytes("RGBA", (257, 255), right(shown).astype(np.uint8).tobytes())
    content = png(levels if kind == COLOUR_ALPHA else levels[..., [0, 3]], kind)
    behind = Image.new("RGBA", own.size, (9, 9, 9, 255))
    expected = Image.alpha_composite(behind, own).convert("RGB")
    assert np.array_equal(read(content, background=9), np.asarray(expected))


def test_one_colour_may_be_transparent_and_its_neighbours_are_not():
    levels = np.array([[[65535, 300, 7], [65535, 301, 7]]], np.uint16)
    pixels = read(png(levels, COLOUR, transparent=(65535, 300, 7)), background=128)
    assert pixels.tolist() == [[[128, 128, 128], [255, 1, 0]]]


def test_grey_is_as_before(levels):
    assert np.array_equal(read(png(levels[..., :1], GREY), channels=1), right(levels[..., 0]))
    pixels = read(png(np.array([[[300], [301]]], np.uint16), GREY, transparent=(300,)), channels=1, background=128)
    assert pixels.tolist() == [[128, 1]]


def test_images_of_8_bits_are_read_once(monkeypatch):
    stream = io.BytesIO()
    Image.new("RGBA", (3, 2), (1, 2, 3, 4)).save(stream, "PNG")
    opened: list[object] = []
    original = Image.open

    def note(*given: Any, **named: Any) -> Image.Image:
        opened.append(given)
        return original(*given, **named)

    monkeypatch.setattr(Image, "open", note)
    decode(stream.getvalue(), 100, "instances[0]")
    assert len(opened) == 1
