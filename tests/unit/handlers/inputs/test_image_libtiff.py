"""A damaged TIFF is refused without a word on standard error, and in the thread that decoded it alone."""

from __future__ import annotations

import logging
import struct
import threading

import numpy as np
import pytest
from PIL import Image

from onnxserve_handlers.errors import UndecodableBody
from onnxserve_handlers.inputs.image_decoding import decode
from onnxserve_handlers.inputs.image_libtiff import listen, reports
from tests.helpers.photos import saved

LINES = Image.fromarray(np.random.default_rng(3).integers(0, 255, (64, 64), np.uint8).repeat(2, 0))
COMPRESSIONS = ("group4", "tiff_lzw", "tiff_deflate", "jpeg", "packbits")
DAMAGE = bytes([0x5A, 0xC3, 0x00, 0x7E]) * 8


def tiff(compression: str) -> bytes:
    return saved(LINES.convert("1") if compression == "group4" else LINES, "TIFF", compression=compression)


def damaged(compression: str) -> bytes:
    content = bytearray(tiff(compression))
    content[40 : 40 + len(DAMAGE)] = DAMAGE
    return bytes(content)


@pytest.fixture(autouse=True)
def _listening() -> None:
    listen.cache_clear()
    listen()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_whole_file_is_read(compression):
    assert decode(tiff(compression), 10**6, "row").size == (64, 128)


@pytest.mark.parametrize("compression", ["group4", "tiff_lzw", "tiff_deflate"])
def test_a_damaged_file_is_refused_in_silence(compression, capfd):
    with pytest.raises(UndecodableBody):
        decode(damaged(compression), 10**6, "row")
    assert capfd.readouterr().err == ""


def test_a_file_that_pillow_refuses_itself_is_no_line_of_the_log(caplog):
    tags = {256: 4, 257: 4, 258: 8, 259: 1, 262: 2, 273: 8, 277: 6000, 279: 16}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    content = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    with pytest.raises(UndecodableBody):
        decode(content, 10**6, "row")
    assert caplog.records == []
    logging.getLogger("PIL.TiffImagePlugin").setLevel(logging.NOTSET)
    with pytest.raises(UndecodableBody):
        decode(content, 10**6, "row")
    assert "6000" in caplog.text


def test_what_pillow_makes_of_damaged_lines_of_a_fax_is_no_answer():
    """Pillow itself gives pixels here."""
    with pytest.raises(UndecodableBody, match="damaged"):
        decode(damaged("group4"), 10**6, "row")


def test_a_thread_hears_of_its_own_files_alone():
    counts: list[int] = []

    def decode_damaged() -> None:
        with pytest.raises(UndecodableBody):
            decode(damaged("group4"), 10**6, "row")
        counts.append(reports.errors)

    before, thread = reports.errors, threading.Thread(target=decode_damaged)
    thread.start()
    thread.join(20)
    assert (counts[0] > 0, reports.errors) == (True, before)
    assert decode(tiff("group4"), 10**6, "row").size == (64, 128)
