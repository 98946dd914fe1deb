"""Whether a sound's file is whole by what its own container says: decoders read a part of one as a shorter sound.

A WAV has the bytes of its samples in its header, and an MP3 those of all frames in its first (`audio_mpeg`). An OGG
marks its last page, and each page has a number and a checksum. A FLAC has its number of samples, which `audio_decoding`
compares with what it decodes. A recorder that writes to a pipe, or that is stopped, leaves these out: such a file is
read if it ends where one of its own parts does, and is marked as open-ended.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import NamedTuple

from ..errors import UndecodableBody
from .audio_mpeg import WHOLE, Content, check_mp3, is_mp3

CONTAINERS = ("WAV", "FLAC", "OGG", "MP3")
# The header of a tag before the sound, as long as the footer that its flags may tell of:
# https://id3.org/id3v2.4.0-structure, sections 3.1 and 3.4.
ID3, ID3_BYTES, ID3_FOOTER = b"ID3", 10, 0x10
MOST_TAGS = 16
RIFF = (b"RIFF", b"RIFX")  # with numbers in little-endian and big-endian order
RIFF_BYTES = 12  # of a WAV file before its first chunk
CHUNK_BYTES = 8  # a chunk's kind and its length in bytes; chunks begin at even places
MOST_CHUNKS = 1000  # of a WAV file before its samples; a body of empty ones would have a million
PIPED = 0x7FFF0000  # bytes of samples, from which on a header means that it doesn't know
KIND = re.compile(rb"[ -~]{4}")  # of a chunk
MPEG = (b"\x50\0", b"\x55\0", b"\0\x50", b"\0\x55")  # formats of samples in either order
PAGE = struct.Struct("<4sBBqIIIB")  # RFC 3533, 6: pattern, version, flags, place, stream, number, checksum, parts
CHECKSUM = slice(22, 26)
PATTERN, LAST = b"OggS", 4  # of a page, and the flag of a stream's last
CONTINUED = 255  # bytes of a page's part whose packet goes on
MOST_PAGES = 100_000
REVERSED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
ALL_ONES = 0xFFFFFFFF


def is_sound(content: Content) -> bool:
    """Return whether bytes begin as a sound does, with tags before it or without."""
    return content.startswith(ID3) or bool(kind_of(content))


def kind_of(content: Content) -> str:
    """Return which of `CONTAINERS` a file without tags is by its first bytes, empty for any other."""
    if content[:4] in RIFF and content[CHUNK_BYTES:RIFF_BYTES] == b"WAVE":
        return "WAV"
    if content.startswith(b"fLaC"):
        return "FLAC"
    if content.startswith(PATTERN):
        return "OGG"
    return "MP3" if is_mp3(content) else ""


def is_open_ended(content: Content, where: str) -> bool:
    """Return whether a file without tags doesn't say where it ends; that of a FLAC is in its header, as decoded.

    Raises UndecodableBody for none of `CONTAINERS`, for a file that ends before its container does, and for a
    contradiction.
    """
    kind = kind_of(content)
    if not kind:
        raise UndecodableBody(f"not a readable sound of {', '.join(CONTAINERS)}", where=where, fix="check the file")
    check = {"WAV": check_wav, "OGG": check_ogg, "MP3": check_mp3}.get(kind)
    return check is not None and check(content, where)


def without_tags(content: Content, where: str) -> Content:
    """Return a file without the tags before its sound, and the zeros behind them; libsndfile counts them as samples.

    Raises UndecodableBody for more than `MOST_TAGS`.
    """
    start = 0
    for _ in range(MOST_TAGS):
        header = content[start : start + ID3_BYTES]
        if not header.startswith(ID3) or len(header) < ID3_BYTES:
            return content[start:].lstrip(b"\0") if start else content
        start += ID3_BYTES * (2 if header[5] & ID3_FOOTER else 1)
        start += sum((part & 0x7F) << shift for part, shift in zip(header[6:], (21, 14, 7, 0), strict=True))
    raise UndecodableBody(f"the file has more than {MOST_TAGS} tags before its sound", where=where, fix="remove them")


def check_wav(wav: Content, where: str) -> bool:
    """Return whether the header doesn't know how many samples there are, as an encoder to a pipe doesn't.

    Raises UndecodableBody for a WAV with fewer samples than its header says, or more, or with frames of MPEG.
    Source: https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html.
    """
    chunk = struct.Struct(">4sI" if wav.startswith(RIFF[1]) else "<4sI")
    position = RIFF_BYTES
    for _ in range(MOST_CHUNKS):
        if position + CHUNK_BYTES > len(wav):
            raise UndecodableBody("the WAV file is cut short before its samples", where=where, fix=WHOLE)
        kind, size = chunk.unpack_from(wav, position)
        position += CHUNK_BYTES
        if kind == b"fmt " and wav[position : position + 2] in MPEG:
            raise UndecodableBody("the WAV file has frames of MPEG", where=where, fix="send the MP3 itself")
        position += size
        if kind == b"data":
            whole = CHUNK_BYTES + chunk.unpack_from(wav)[1]
            if size < PIPED:
                check_samples(wav, position, size, whole, where)
            return bool(size >= PIPED)
        position += size % 2
    reason = f"the WAV file has more than {MOST_CHUNKS} chunks before its samples"
    raise UndecodableBody(reason, where=where, fix="encode the sound again, without them")


def check_samples(wav: Content, end: int, size: int, whole: int, where: str) -> None:
    """Raise UndecodableBody unless samples of `size` bytes end with the file, with all chunks, or before another."""
    if end > len(wav):
        raise UndecodableBody("the WAV file is cut short", where=where, fix=WHOLE)
    ends = {end, end + size % 2}
    if not ends & {len(wav), whole} and not any(KIND.match(wav, place) for place in ends):
        fix = "check the length of its chunk `data`"
        raise UndecodableBody("the WAV file has more samples than its header says", where=where, fix=fix)


class Page(NamedTuple):
    """A page of an OGG: its stream, its number there, whether it is the stream's last, and where it ends.

    `is_complete` is whether its last packet ends with it.
    """

    stream: int
    number: int
    is_last: bool
    is_complete: bool
    end: int


def check_ogg(ogg: Content, where: str) -> bool:
    """Return whether no page is marked as the last one, as in what a recorder wrote that was stopped.

    Raises UndecodableBody for an OGG whose pages are damaged, of which one is missing, or that ends within a page or a
    packet, and for a second sound.
    """
    position, following, ended, is_complete = 0, dict[int, int](), set[int](), False
    for _ in range(MOST_PAGES):
        if is_complete and position == len(ogg):
            return True
        page = read_page(ogg, position, where)
        is_complete = page.is_complete
        if page.number != following.get(page.stream, page.number):
            raise UndecodableBody("the OGG file lacks a page", where=where, fix=WHOLE)
        following[page.stream] = page.number + 1
        position = page.end
        if page.is_last:
            ended.add(page.stream)
        if ended == following.keys():
            break
    else:
        reason = f"the OGG file has more than {MOST_PAGES} pages"
        raise UndecodableBody(reason, where=where, fix="encode the sound again, with larger ones")
    if ogg.startswith(PATTERN, position):
        fix = "send each sound as a row"
        raise UndecodableBody("the OGG file has more than one sound", where=where, fix=fix)
    return False


def read_page(ogg: Content, position: int, where: str) -> Page:
    """Return the page at a place; raises UndecodableBody for one that is damaged, or that the file doesn't hold."""
    header = ogg[position : position + PAGE.size]
    if len(header) == PAGE.size and not header.startswith(PATTERN):
        raise UndecodableBody("the OGG file is damaged", where=where, fix=WHOLE)
    parts = position + PAGE.size
    body = parts + (header[-1] if len(header) == PAGE.size else 0)
    end = body + sum(ogg[parts:body])
    if len(header) < PAGE.size or end > len(ogg):
        raise UndecodableBody("the OGG file is cut short", where=where, fix=WHOLE)
    _, _, flags, _, stream, number, checksum, _ = PAGE.unpack(header)
    content = bytearray(ogg[position:end])
    content[CHECKSUM] = bytes(4)
    if checksum_of(content) != checksum:
        raise UndecodableBody("the OGG file is damaged", where=where, fix=WHOLE)
    return Page(stream, number, bool(flags & LAST), ogg[body - 1] < CONTINUED, end)


def checksum_of(page: bytearray) -> int:
    """Return the checksum of a page: the CRC of zlib with all bits reversed, and nothing inverted."""
    checksum = zlib.crc32(page.translate(REVERSED), ALL_ONES) ^ ALL_ONES
    return int(f"{checksum:032b}"[::-1], 2)
