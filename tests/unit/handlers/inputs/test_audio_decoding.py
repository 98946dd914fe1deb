"""Samples of a file that holds fewer than its header says."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from onnxserve_handlers.errors import UndecodableBody
from onnxserve_handlers.inputs.audio_decoding import MOST_MISSING, decode
from tests.helpers.sounds import saved

RATE, SECONDS = 8000, 4
NOISE = np.random.default_rng(5).normal(0, 0.1, RATE * SECONDS)
MP3, OGG, FLAC = (saved(NOISE, RATE, kind) for kind in ("MP3", "OGG", "FLAC"))


def stating_more(flac: bytes) -> bytes:
    """Return a FLAC whose header (RFC 9639, section 8.2) has 40,000 samples more than the file."""
    content = bytearray(flac)
    struct.pack_into(">I", content, 22, struct.unpack_from(">I", content, 22)[0] + 40_000)
    return bytes(content)


def leave_in_memory(level: float) -> None:
    """Leave the samples of another client's sound in memory that is free again."""
    sounds = [np.full(len(NOISE), level, np.float32) for _ in range(20)]
    del sounds


@pytest.mark.parametrize("content", [MP3[: len(MP3) // 2], stating_more(FLAC)], ids=["half an MP3", "FLAC"])
def test_a_file_with_fewer_samples_than_its_header_says_is_refused(content):
    leave_in_memory(7)
    with pytest.raises(UndecodableBody):
        decode(content, 60, "x")


@pytest.mark.parametrize("content", [MP3[:-300], OGG[: len(OGG) // 2]], ids=["MP3 without its end", "half an OGG"])
def test_samples_that_a_file_lacks_are_not_what_lies_in_memory(content):
    leave_in_memory(7)
    first, _ = decode(content, 60, "x")
    leave_in_memory(9)
    second, _ = decode(content, 60, "x")
    np.testing.assert_array_equal(first, second)
    assert 0 < np.abs(first).max() < 1


@pytest.mark.parametrize("content", [MP3, OGG, FLAC], ids=["MP3", "OGG", "FLAC"])
def test_a_whole_file_has_all_its_samples(content):
    samples, rate = decode(content, 60, "x")
    assert (len(samples), rate) == (len(NOISE), RATE)


def test_an_mp3_may_lack_no_more_than_its_decoders_delay():
    assert len(NOISE) - MOST_MISSING <= len(decode(MP3[:-300], 60, "x")[0]) < len(NOISE)
