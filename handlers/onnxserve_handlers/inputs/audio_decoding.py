"""bytes -> samples: WAV, FLAC, OGG and MP3 by libsndfile, and other rates by the band-limited soxr.

soxr gives the same samples on every machine, works on float32, and is 200 kB; SciPy's resampler would bring 100 MB.
"""

from __future__ import annotations

import io
import struct

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from ..errors import BodyTooLarge, InvalidRow, RequestError, UndecodableBody

FORMATS = {"WAV", "WAVEX", "FLAC", "OGG", "MP3"}  # the last since libsndfile 1.1
RATES = (1_000, 384_000)  # Hz
MOST_CHANNELS = 8
UNKNOWN = 2**63 - 1  # libsndfile's number of frames where a header has none, as encoders write to a pipe
FIRST_FRAME = 2048  # bytes that hold the first frame of an MP3
LENGTH_MARKS = (b"Xing", b"Info", b"VBRI")  # http://gabriel.mp3-tech.org/mp3infotag.html, and Fraunhofer's
RIFF_BYTES = 12  # of a WAV file before its first chunk
CHUNK = struct.Struct("<4sI")  # its kind and its length in bytes; chunks begin at even places
MOST_CHUNKS = 1000  # of a WAV file before its samples; a body of empty ones would have a million
PIPED = 0x7FFF0000  # bytes of samples, from which on a header means that it doesn't know
MOST_MISSING = 2 * 1152  # samples, which the delay of an MP3's decoder may take from its end
BLOCK = 65_536  # samples that are decoded at a time, so that channels don't multiply the memory


def decode(content: bytes | bytearray, max_seconds: float, where: str) -> tuple[npt.NDArray[np.float32], int]:
    """Return the mean of a file's channels, shape (samples,), full scale is 1, and its rate.

    Raises UndecodableBody, BodyTooLarge for a longer sound than `max_seconds`, before it is decoded, or InvalidRow.
    """
    if is_cut_short(content, where):
        raise UndecodableBody("the WAV file is cut short", where=where, fix="send the whole file")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            check_file(file, max_seconds, where)
            if file.format == "MP3" and not states_length(content):
                fix = "encode it to a file, with the header that LAME and ffmpeg write there, or send WAV"
                raise UndecodableBody("the MP3 doesn't state its length", where=where, fix=fix)
            return read_samples(file, max_seconds, where), file.samplerate
    except (RequestError, MemoryError):
        raise
    except Exception as error:  # libsndfile reports damage in many ways
        raise UndecodableBody(
            "not a readable sound of WAV, FLAC, OGG, MP3", where=where, fix="check the file"
        ) from error


def samples_of(content: bytes | bytearray) -> int:
    """Return how many samples all channels of a file have by its header; 0 for one that can't be read."""
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            return int(file.frames * file.channels) if file.frames != UNKNOWN else 0
    except Exception:  # noqa: BLE001 - `decode` says what is wrong
        return 0


def read_samples(file: soundfile.SoundFile, max_seconds: float, where: str) -> npt.NDArray[np.float32]:
    """Return the mean of a file's channels; raises UndecodableBody if it has fewer samples than its header says.

    `SoundFile.blocks` would fill up with whatever lies in memory, such as another client's sound.
    """
    left, channel = int(max_seconds * file.samplerate) + 1, [np.empty(0, np.float32)]  # one more: the header may lie
    while left and len(block := file.read(min(BLOCK, left), dtype="float32", always_2d=True)):
        channel.append(block.mean(axis=1))
        left -= len(block)
    samples = np.concatenate(channel)
    if file.frames - len(samples) > MOST_MISSING:
        raise UndecodableBody(f"the {file.format} file is cut short", where=where, fix="send the whole file")
    return samples


def is_cut_short(wav: bytes | bytearray, where: str) -> bool:
    """Return whether a WAV file has fewer samples than its header says; an encoder to a pipe doesn't know how many.

    Raises UndecodableBody for more than `MOST_CHUNKS` before the samples.
    Source: https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html.
    """
    position = RIFF_BYTES if wav[:4] == b"RIFF" and wav[8:RIFF_BYTES] == b"WAVE" else len(wav)
    for _ in range(MOST_CHUNKS):
        if position + CHUNK.size > len(wav):
            return False
        kind, size = CHUNK.unpack_from(wav, position)
        if kind == b"data":
            return bool(len(wav) - position - CHUNK.size < size < PIPED)
        position += CHUNK.size + size + size % 2
    reason = f"the WAV file has more than {MOST_CHUNKS} chunks before its samples"
    raise UndecodableBody(reason, where=where, fix="encode the sound again, without them")


def check_file(file: soundfile.SoundFile, max_seconds: float, where: str) -> None:
    """Raise the error of a file that its header gives away."""
    if file.format not in FORMATS:
        raise UndecodableBody(f"the sound is {file.format}", where=where, fix="send WAV, FLAC, OGG or MP3")
    if not RATES[0] <= file.samplerate <= RATES[1] or file.channels > MOST_CHANNELS:
        raise InvalidRow(
            f"the sound has {file.channels} channels at {file.samplerate} Hz",
            where=where,
            fix=f"send at most {MOST_CHANNELS} channels at {RATES[0]} to {RATES[1]} Hz",
        )
    if file.frames == UNKNOWN:
        raise UndecodableBody(
            "the sound's header has no length", where=where, fix="encode it to a file instead of a pipe, or send WAV"
        )
    if file.frames > max_seconds * file.samplerate:
        seconds = file.frames / file.samplerate
        raise BodyTooLarge(
            f"the sound is {seconds:.3g} s long, at most {max_seconds:g} s are accepted",
            where=where,
            fix="cut the sound, and send the parts as rows",
        )


def states_length(content: bytes | bytearray) -> bool:
    """Return whether an MP3 states its length in its first frame, behind tags of ID3v2.

    Without it libsndfile takes the first frame's bit rate for that of all, and may miss the end.
    """
    start = 0
    if content.startswith(b"ID3") and len(content) > 10:
        start = 10 + sum((part & 0x7F) << shift for part, shift in zip(content[6:10], (21, 14, 7, 0), strict=True))
    first = bytes(content[start : start + FIRST_FRAME])
    return any(mark in first for mark in LENGTH_MARKS)


def resample(samples: npt.NDArray[np.float32], rate: int, target_rate: int) -> npt.NDArray[np.float32]:
    """Return the samples at another rate, without the frequencies that the lower of both can't hold."""
    resampled: npt.NDArray[np.float32] = soxr.resample(samples, rate, target_rate)
    return resampled
