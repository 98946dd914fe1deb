"""The length of a FLAC whose header has none, as an encoder to a pipe leaves it: its last frame says where it is.

Each frame begins with its place and ends with a checksum, so it also says whether the file ends where a frame does.
Source: RFC 9639, sections 8.2 (STREAMINFO) and 9 (frames).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import UndecodableBody
from .audio_mpeg import WHOLE, Content

FIRST_FRAME = 42  # bytes before the first frame may begin
BLOCK, BLOCK_PLACE = struct.Struct(">H"), 10  # how many samples all frames but the last have
LENGTH, LENGTH_PLACE, MOST_SAMPLES = struct.Struct(">Q"), 18, 2**36 - 1  # its last 36 bits; 0 if nobody knew
LONGEST_FRAME = 2**21 + 2**16  # bytes: 65,535 samples of 32 bits in eight channels, and what stands around them
MOST_SYNCS, MOST_HEADERS = 1000, 16  # that are looked at from the end; noise looks like a frame's first bytes at times
# The first four bytes of a frame: a pattern, whether it counts samples, and codes of which some are reserved.
SYNC = re.compile(rb"\xff[\xf8\xf9][\x10-\xff][\x00-\xaf]", re.DOTALL)
COUNTS_SAMPLES = 0xF9
NUMBER = 4  # where the frame's number begins, which is coded as UTF-8 codes a character
BEHIND, RATE_BEHIND = {6: 1, 7: 2}, {12: 1, 13: 2, 14: 2}  # bytes behind the number, by code, for samples and rate
LARGE_BLOCKS = 8  # the first code of blocks of 256 samples, 512 and so on


class Frame(NamedTuple):
    """A frame's header: its first sample, how many samples of each channel it has, and where its checksum stands."""

    first: int
    samples: int
    checksum: int


def has_length(flac: Content) -> bool:
    """Return whether the header says how many samples there are; also for what has no whole header."""
    return len(flac) < FIRST_FRAME or bool(LENGTH.unpack_from(flac, LENGTH_PLACE)[0] & MOST_SAMPLES)


def with_length(flac: Content, where: str) -> Content:
    """Return a FLAC whose header has as many samples of each channel as its last frame says.

    Raises UndecodableBody for a file that doesn't end where a frame does.
    """
    for start, frame in islice(last_headers(flac), MOST_HEADERS):
        if not checksum_of(flac[start:]):
            changed = bytearray(flac)
            length = LENGTH.unpack_from(flac, LENGTH_PLACE)[0] | min(frame.first + frame.samples, MOST_SAMPLES)
            LENGTH.pack_into(changed, LENGTH_PLACE, length)
            return changed
    raise UndecodableBody("the FLAC file is cut short or damaged", where=where, fix=WHOLE)


def last_headers(flac: Content) -> Iterator[tuple[int, Frame]]:
    """Yield the places of headers of frames, the last one first."""
    begin = max(FIRST_FRAME, len(flac) - LONGEST_FRAME)
    starts = [sync.start() for sync in SYNC.finditer(flac, begin)]
    for start in reversed(starts[-MOST_SYNCS:]):
        frame = read_header(flac, start)
        if frame is not None and not small_checksum_of(flac[start : frame.checksum + 1]):
            yield start, frame


def read_header(flac: Content, start: int) -> Frame | None:
    """Return the header of a frame at a place, None if the file ends within it."""
    place, codes = start + NUMBER, flac[start + 2]
    if place >= len(flac):
        return None
    size = max(1, 8 - (flac[place] ^ 0xFF).bit_length())  # as many bytes as the first one begins with ones
    behind, end = BEHIND.get(codes >> 4, 0), place + size
    checksum = end + behind + RATE_BEHIND.get(codes & 15, 0)
    if checksum >= len(flac):
        return None
    number = flac[place] & 0x7F >> (size if size > 1 else 0)
    for octet in flac[place + 1 : end]:
        number = number << 6 | octet & 0x3F
    block = 1 if flac[start + 1] == COUNTS_SAMPLES else BLOCK.unpack_from(flac, BLOCK_PLACE)[0]
    return Frame(number * block, block_samples(codes >> 4, flac[end : end + behind]), checksum)


def block_samples(code: int, behind: Content) -> int:
    """Return how many samples of each channel a frame has by its code, or by the number behind the frame's own."""
    if behind:
        return int.from_bytes(behind, "big") + 1
    if code == 1:
        return 192
    return 576 << code - 2 if code < LARGE_BLOCKS else 256 << code - LARGE_BLOCKS


def small_checksum_of(header: Content) -> int:
    """Return the remainder of a header by x^8 + x^2 + x + 1: 0 for one with its checksum."""
    value = 0
    for octet in header:
        value ^= octet
        for _ in range(8):
            value = value << 1 ^ (0x107 if value & 0x80 else 0)
    return value


def remainders() -> npt.NDArray[np.uint16]:
    """Return the remainder of each word of 16 bits, with 16 zeros behind it, by x^16 + x^15 + x^2 + 1."""
    words: npt.NDArray[Any] = np.arange(2**16, dtype=np.uint32)
    for _ in range(16):
        words = words << 1 ^ np.where(words & 0x8000, 0x18005, 0).astype(np.uint32)
    return words.astype(np.uint16)


SHIFTED = remainders()


def checksum_of(frame: Content) -> int:
    """Return the remainder of a frame by the same: 0 for one with its checksum.

    Halves of the frame are joined, then their halves, so that numpy does the work; zeros before a frame change nothing.
    """
    size = 1 << max(len(frame) - 1, 1).bit_length()
    shift, words = SHIFTED, np.frombuffer(bytes(frame).rjust(size, b"\0"), ">u2")
    words = shift[words]
    while len(words) > 1:
        words, shift = shift[words[::2]] ^ words[1::2], shift[shift]
    return int(words[0])
