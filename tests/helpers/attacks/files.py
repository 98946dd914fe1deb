"""Images and sounds that a hostile client sends."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from PIL import Image

from tests.helpers.attacks.rows import Attack, row
from tests.helpers.photos import saved
from tests.helpers.sounds import saved as saved_sound
from tests.helpers.task_models import RATE


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def images() -> list[Attack]:
    small, grey = saved(Image.new("L", (4, 4))), Image.new("L", (8, 4))
    bomb = zlib.compress(bytes(30_000_000))
    turned = Image.Exif()
    turned[0x0112] = 65_535  # no orientation
    frames = [Image.new("L", (8, 8), level) for level in range(40)]
    moving = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    size = small[:16] + struct.pack(">II", 2**31 - 1, 2**31 - 1) + small[24:]
    lines = Image.fromarray(np.random.default_rng(3).integers(0, 255, (64, 64), np.uint8))
    fax = bytearray(saved(lines.convert("1"), "TIFF", compression="group4"))
    fax[40:72] = bytes([0x5A, 0xC3, 0x00, 0x7E]) * 8

    def image(name: str, content: bytes, status: int, reason: str = "", kind: str = "image/png") -> Attack:
        return Attack("segmentation", name, content, status, "instances[0]" if status != 200 else "", reason, kind)

    return [
        image("a column of pixels", saved(Image.new("L", (1, 60_000))), 200),
        image("a line of pixels", saved(Image.new("L", (60_000, 1))), 200),
        image("too many pixels", saved(Image.new("1", (5000, 5000))), 413, "25000000 pixels"),
        image("a header of 2^62 pixels", size, 400),
        image("a text that inflates", small[:33] + chunk(b"zTXt", b"k\0\0" + bomb) + small[33:], 400),
        image("a profile that inflates", small[:33] + chunk(b"iCCP", b"k\0\0" + bomb) + small[33:], 400),
        image("50,000 chunks", small[:33] + chunk(b"tEXt", b"k\0v") * 50_000 + small[33:], 200),
        image("a file that ends early", small[:-14], 400, "cut short"),
        image("odd EXIF", saved(grey, "JPEG", exif=turned), 200, kind="image/jpeg"),
        image("many frames", moving, 200, kind="image/gif"),
        image("a damaged fax", bytes(fax), 400, kind="image/tiff"),
        row("segmentation", "no base64", "!", "instances[0]", "base64", 400),
        row("segmentation", "an empty text", "", "instances[0]", "not a readable image", 400),
        row("segmentation", "pixels in lists", [[1, 2]], "instances[0]", "a list"),
    ]


def sounds() -> list[Attack]:
    plain = saved_sound(np.zeros(16), RATE, subtype="PCM_16")

    def changed(place: int, form: str, value: int) -> bytes:
        content = bytearray(plain)
        struct.pack_into(form, content, place, value)
        return bytes(content)

    def sound(name: str, content: bytes, status: int, reason: str = "", kind: str = "audio/wav") -> Attack:
        return Attack("multilabel", name, content, status, "instances[0]" if status != 200 else "", reason, kind)

    endless = saved_sound(np.full(16, np.inf), RATE, subtype="DOUBLE")
    tag = b"ID3\4\0\0\0\0\0\0"
    return [
        *damaged_sounds(),
        sound("fewer samples than there are", changed(40, "<I", 8), 400, "more samples"),
        sound("a tag before a file that ends early", tag + plain[:50], 400, "cut short"),
        sound("a tag before a sound", tag + plain, 200),
        sound("nothing but tags", tag * 9999, 400, "tags"),
        sound("a tag longer than the file", b"ID3\4\0\0\x7f\x7f\x7f\x7f", 400),
        sound("a length that an encoder to a pipe writes", changed(40, "<I", 2**32 - 1), 200),
        sound("more samples than there are", changed(40, "<I", 4000), 400, "cut short"),
        sound("a file that ends early", plain[:50], 400, "cut short"),
        sound(
            "a thousand chunks before the samples", plain[:12] + (b"junk" + bytes(4)) * 1000 + plain[12:], 400, "chunks"
        ),
        sound("no samples", plain[:40] + bytes(4), 422, "at least one sample"),
        sound("a rate of 0", changed(24, "<I", 0), 400),
        sound("a rate of 999,999", changed(24, "<I", 999_999), 422, "999999 Hz"),
        sound("65,535 channels", changed(22, "<H", 65_535), 400),
        sound("nine channels", saved_sound(np.zeros((16, 9)), RATE), 422, "9 channels"),
        sound("5 s of 1", saved_sound(np.zeros(5 * RATE), RATE), 413, "5 s long"),
        sound("infinite samples", endless, 422, "beyond 8"),
        sound("a FLAC that ends early", saved_sound(np.zeros(900), RATE, "FLAC")[:60], 400, kind="audio/flac"),
        row("multilabel", "booleans", [True, False], "instances[0]", "true or false"),
        row("multilabel", "a boolean among numbers", [True, 0.5], "instances[0]", "other values"),
        row("multilabel", "no list of samples", {"array": None, "sampling_rate": RATE}, "instances[0]", "null"),
        row(
            "multilabel", "a negative rate", {"array": [0.1], "sampling_rate": -1}, "instances[0].sampling_rate", "1000"
        ),
        row("multilabel", "a number beyond 64 bits", [2**70, 0.5], "instances[0]", "64 bits"),
    ]


def damaged_sounds() -> list[Attack]:
    """Return files of each format without their ends, and with a byte in their middle that isn't theirs."""
    noise = np.random.default_rng(5).normal(0, 0.1, 7000)
    files = {kind: saved_sound(noise, 8000, kind) for kind in ("FLAC", "OGG", "MP3")}
    attacks = []
    for kind, content in files.items():
        media = {"MP3": "audio/mpeg"}.get(kind, f"audio/{kind.lower()}")
        for name, part in (
            ("a byte", content[:-1]),
            ("the end", content[:-300]),
            ("half", content[: len(content) // 2]),
        ):
            attacks.append(Attack("multilabel", f"{kind} without {name}", part, 400, "instances[0]", "", media))
    page = files["OGG"].rindex(b"OggS")
    changed = bytearray(files["OGG"])
    changed[page - 40] ^= 1
    beside = bytes(changed)
    frame = bytearray(files["FLAC"])
    frame[-2000] ^= 1
    noisy = bytearray(files["MP3"])
    noisy[1200:2400] = np.random.default_rng(6).integers(0, 256, 1200, np.uint8).tobytes()
    ogg = {"with a damaged page": beside, "twice": files["OGG"] * 2}
    attacks += [Attack("multilabel", f"OGG {n}", c, 400, "instances[0]", "", "audio/ogg") for n, c in ogg.items()]
    piped = bytearray(files["FLAC"])
    piped[21] &= 0xF0
    piped[22:26] = bytes(4)
    headers = b"\xff\xf8\x69\x08\0\x0f\0" * 100_000  # as a frame begins, without the frame
    return [
        *attacks,
        Attack(
            "multilabel", "an OGG of headers", files["OGG"][:page], 422, "instances[0]", "at least one", "audio/ogg"
        ),
        Attack("multilabel", "FLAC of a pipe", bytes(piped), 200, kind="audio/flac"),
        Attack("multilabel", "FLAC of a pipe without a byte", bytes(piped[:-1]), 400, "instances[0]", "", "audio/flac"),
        Attack("multilabel", "FLAC of headers", bytes(piped) + headers, 400, "instances[0]", "", "audio/flac"),
        Attack("multilabel", "a damaged FLAC", bytes(frame), 400, "instances[0]", "", "audio/flac"),
        Attack("multilabel", "an MP3 with noise in it", bytes(noisy), 400, "instances[0]", "", "audio/mpeg"),
        Attack("multilabel", "no frame of an MP3", b"\xff\xfb\x90\xc0" * 3000, 400, "instances[0]", "", "audio/mpeg"),
    ]
