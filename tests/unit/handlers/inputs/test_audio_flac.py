"""A FLAC that an encoder wrote to a pipe has no length in its header: its last frame tells it, if it is whole."""

from __future__ import annotations

import time

import numpy as np
import pytest

from onnxserve_handlers.errors import UndecodableBody
from onnxserve_handlers.inputs import audio_flac
from onnxserve_handlers.inputs.audio_decoding import decode, samples_of
from tests.helpers.sounds import saved

RATE = 8000
DRAWS = np.random.default_rng(3)
NOISE = DRAWS.normal(0, 0.1, 30_001)
STEREO = DRAWS.normal(0, 0.1, (20_000, 2))


def piped(flac: bytes) -> bytes:
    """Return a FLAC as ffmpeg and flac write it to a pipe: no number of samples, no sizes of frames, no digest."""
    header = bytearray(flac)
    header[12:18] = bytes(6)
    header[21] &= 0xF0
    header[22:42] = bytes(20)
    return bytes(header)


SOUNDS = {
    "one channel": saved(NOISE, RATE, "FLAC"),
    "two channels": saved(STEREO, RATE, "FLAC", "PCM_24"),
    "silence": saved(np.zeros(9000), RATE, "FLAC"),
    "one sample": saved(np.zeros(1), RATE, "FLAC"),
    "another rate": saved(NOISE, 11_111, "FLAC"),
    "a round rate": saved(NOISE, 13_000, "FLAC"),
    "whole frames": saved(NOISE[:12_288], RATE, "FLAC"),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_a_piped_flac_has_the_samples_of_the_same_file_with_a_length(name):
    known, unknown = decode(SOUNDS[name], 60, "x"), decode(piped(SOUNDS[name]), 60, "x")
    np.testing.assert_array_equal(known.samples, unknown.samples)
    assert (known.is_open_ended, unknown.is_open_ended) == (False, True)
    assert samples_of(piped(SOUNDS[name])) == samples_of(SOUNDS[name]) > 0


@pytest.mark.parametrize("missing", [1, 2, 5, 9, 100, 4000, 0.5])
def test_a_piped_flac_that_lacks_its_end_is_refused(missing):
    flac = piped(SOUNDS["one channel"])
    cut = missing if isinstance(missing, int) else int(missing * len(flac))
    with pytest.raises(UndecodableBody, match="cut short or damaged"):
        decode(flac[:-cut], 60, "x")


def test_a_piped_flac_without_its_last_frame_is_open_ended():
    flac = piped(SOUNDS["one channel"])
    place, frame = next(audio_flac.last_headers(flac))
    assert decode(flac[:place], 60, "x").samples.shape == (frame.first,)
    for behind in range(1, frame.checksum - place + 2):  # nor is a part of a header a frame
        with pytest.raises(UndecodableBody):
            decode(flac[: place + behind], 60, "x")


def test_a_piped_flac_with_a_damaged_frame_is_refused():
    flac = bytearray(piped(SOUNDS["one channel"]))
    for place in (len(flac) - 1000, len(flac) // 2):
        damaged = bytearray(flac)
        damaged[place] ^= 1
        with pytest.raises(UndecodableBody, match="cut short or damaged"):
            decode(damaged, 60, "x")


def test_the_checksum_is_that_of_the_format():
    assert audio_flac.checksum_of(b"123456789") == 0xFEE8  # CRC-16/UMTS in the catalogue of parametrised CRCs
    assert audio_flac.small_checksum_of(b"123456789") == 0xF4  # CRC-8/SMBUS
    assert audio_flac.checksum_of(b"\0") == audio_flac.checksum_of(b"") == 0


def test_bytes_that_look_like_frames_take_no_long_time():
    header = bytes.fromhex("fff869080000")
    header += bytes([audio_flac.small_checksum_of(header)])
    start = time.process_time()
    with pytest.raises(UndecodableBody):
        decode(piped(SOUNDS["silence"]) + header * 500_000, 60, "x")
    assert time.process_time() - start < 5
