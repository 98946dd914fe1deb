"""The frames of an MP3: each says where the next one begins, and mostly the first how many bytes they all have.

Sources: ISO/IEC 11172-3 and 13818-3, sections 2.4.1.3 and 2.4.2.3; http://gabriel.mp3-tech.org/mp3infotag.html, and
Fraunhofer's VBRI.
"""

from __future__ import annotations

import re

from ..errors import UndecodableBody

Content = bytes | bytearray
WHOLE = "send the whole file"
FIRST_FRAME = 2048  # bytes that hold the first frame
# Of the first frame: flags for the numbers of frames and of bytes, and both; or both the other way round.
COUNTS = re.compile(rb"(?:Xing|Info)\0\0\0[\x03\x07\x0b\x0f].{4}(?P<xing>.{4})|VBRI.{6}(?P<vbri>.{4})", re.DOTALL)
TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3")  # what may lie behind the last frame
HEADER_BYTES = 4
MPEG_1 = 3  # of the versions; 2 is MPEG 2, and 0 is MPEG 2.5
HALVINGS = {MPEG_1: 0, 2: 1, 0: 2}  # of the rate
FULL_RATES = (44_100, 48_000, 32_000)  # Hz
BIT_RATES = (
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # of MPEG 1 [kbit/s]
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # of the others
)


def is_mp3(content: Content) -> bool:
    """Return whether bytes begin with the header of a frame of layer III."""
    return len(content) > 1 and content[0] == 0xFF and content[1] & 0xE6 == 0xE2


def check_mp3(mp3: Content, where: str) -> bool:
    """Return whether the first frame doesn't say how many bytes there are, which an encoder to a pipe doesn't know.

    Raises UndecodableBody for an MP3 with fewer bytes than its first frame says, or whose frames aren't whole.
    A decoder looks for the next frame behind a damaged one, and leaves out what lies between.
    """
    counts, end = COUNTS.search(mp3, 0, FIRST_FRAME), end_of_frames(mp3)
    if counts is None:
        stated = end if mp3[end:].startswith(TAGS) else len(mp3)
    else:
        stated = int.from_bytes(counts["xing"] or counts["vbri"], "big")
    if max(stated, end) > len(mp3):
        raise UndecodableBody("the MP3 file is cut short", where=where, fix=WHOLE)
    if end < stated:
        raise UndecodableBody(f"the MP3 file is damaged at byte {end}", where=where, fix=WHOLE)
    if end - stated > frame_bytes(mp3[:HEADER_BYTES]):  # not every encoder counts the first frame
        fix = "encode the sound again; send several sounds as rows"
        raise UndecodableBody("the MP3 file has more frames than its first one says", where=where, fix=fix)
    return counts is None


def end_of_frames(mp3: Content) -> int:
    """Return where the last of the frames ends that follow each other from the beginning, be it beyond the file."""
    end = 0
    while size := frame_bytes(mp3[end : end + HEADER_BYTES]):
        end += size
    return end


def frame_bytes(header: Content) -> int:
    """Return the length of a frame by its header; 0 for one that isn't of layer III, or that doesn't say its length."""
    if len(header) < HEADER_BYTES or not is_mp3(header):
        return 0
    version, bit_rate, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version not in HALVINGS or bit_rate in (0, 15) or rate == 3:
        return 0
    kbits = BIT_RATES[version != MPEG_1][bit_rate - 1]
    slots = (144 if version == MPEG_1 else 72) * 1000 * kbits // (FULL_RATES[rate] >> HALVINGS[version])
    return slots + (header[2] >> 1 & 1)
