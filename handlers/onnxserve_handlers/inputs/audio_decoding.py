"""bytes -> samples: WAV, FLAC and OGG by libsndfile, MP3 by miniaudio, and other rates by the band-limited soxr.

soxr gives the same samples on every machine, works on float32, and is 200 kB; SciPy's resampler would bring 100 MB.
libsndfile reads MP3 too, but by libmpg123, which writes a line to standard error for each damaged frame, and whose
option against that libsndfile doesn't pass on.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import miniaudio
import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from ..errors import BodyTooLarge, InvalidRow, RequestError, UndecodableBody
from .audio_container import is_open_ended, kind_of, without_tags
from .audio_flac import has_length, with_length
from .audio_mpeg import WHOLE

RATES = (1_000, 384_000)  # Hz
MOST_CHANNELS = 8
MOST_MISSING = {"MP3": 1152}  # samples: not every encoder knows whether the first frame counts, which has none
BLOCK = 65_536  # samples that are decoded at a time, so that channels don't multiply the memory
Samples = npt.NDArray[np.float32]


class Sound(NamedTuple):
    """A file that is open: what its header says, and blocks of its samples, shape (samples, channels)."""

    container: str
    rate: int
    channels: int
    length: int  # samples of each channel
    blocks: Iterator[Samples]
    is_open_ended: bool = False


class Decoded(NamedTuple):
    """The mean of a file's channels, shape (samples,), full scale is 1, and its rate.

    `is_open_ended` is whether the file doesn't say where it ends, so that nothing tells a part of it from the whole.
    """

    samples: Samples
    rate: int
    is_open_ended: bool


def decode(content: bytes | bytearray, max_seconds: float, where: str) -> Decoded:
    """Return the samples of a file.

    Raises UndecodableBody, BodyTooLarge for a longer sound than `max_seconds`, before it is decoded, or InvalidRow.
    """
    try:
        content = without_tags(content, where)
        is_open = is_open_ended(content, where)
        sound = open_sound(content, where)
        check_header(sound, max_seconds, where)
        samples = read_samples(sound, max_seconds, where)
        return Decoded(samples, sound.rate, is_open or sound.is_open_ended)
    except (RequestError, MemoryError):
        raise
    except Exception as error:  # the decoders report damage in many ways
        what = "the sound's header is damaged, or it has an encoding that isn't read here"
        raise UndecodableBody(what, where=where, fix="check the file, or send it as WAV") from error


def samples_of(content: bytes | bytearray) -> int:
    """Return how many samples all channels of a file have by its header; 0 for one that can't be read."""
    try:
        sound = open_sound(without_tags(content, "instances"), "instances")
    except Exception:  # noqa: BLE001 - `decode` says what is wrong
        return 0
    return sound.length * sound.channels


def open_sound(content: bytes | bytearray, where: str) -> Sound:
    """Return a file's header and its samples; raises UndecodableBody or an error of a decoder."""
    container = kind_of(content)
    if container == "MP3":
        mp3 = bytes(content)
        info = miniaudio.mp3_get_info(mp3)
        return Sound(container, info.sample_rate, info.nchannels, info.num_frames, mp3_blocks(mp3, info))
    is_open_ended = container == "FLAC" and not has_length(content)
    file = soundfile.SoundFile(io.BytesIO(with_length(content, where) if is_open_ended else content))
    return Sound(container, file.samplerate, file.channels, file.frames, file_blocks(file), is_open_ended)


def mp3_blocks(mp3: bytes, info: miniaudio.SoundFileInfo) -> Iterator[Samples]:
    """Yield the samples of an MP3, shape (samples, channels)."""
    floats = miniaudio.SampleFormat.FLOAT32
    for block in miniaudio.stream_memory(mp3, floats, info.nchannels, info.sample_rate, BLOCK):
        yield np.frombuffer(block, np.float32).reshape(-1, info.nchannels)


def file_blocks(file: soundfile.SoundFile) -> Iterator[Samples]:
    """Yield the samples of a file, shape (samples, channels).

    `SoundFile.blocks` would fill up with whatever lies in memory, such as another client's sound.
    """
    with file:
        while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
            yield block


def read_samples(sound: Sound, max_seconds: float, where: str) -> Samples:
    """Return the mean of a file's channels; raises UndecodableBody if it has fewer samples than its header says."""
    left, channel = int(max_seconds * sound.rate) + 1, [np.empty(0, np.float32)]  # one more: the header may lie
    with suppress(miniaudio.MiniaudioError, soundfile.SoundFileError):  # the number of samples tells it
        for block in sound.blocks:
            channel.append(block[:left].mean(axis=1))
            left -= len(channel[-1])
            if not left:
                break
    samples = np.concatenate(channel)
    if sound.length - len(samples) > MOST_MISSING.get(sound.container, 0):
        raise UndecodableBody(f"the {sound.container} file is cut short or damaged", where=where, fix=WHOLE)
    return samples


def check_header(sound: Sound, max_seconds: float, where: str) -> None:
    """Raise the error of a file that its header gives away."""
    if not RATES[0] <= sound.rate <= RATES[1] or sound.channels > MOST_CHANNELS:
        raise InvalidRow(
            f"the sound has {sound.channels} channels at {sound.rate} Hz",
            where=where,
            fix=f"send at most {MOST_CHANNELS} channels at {RATES[0]} to {RATES[1]} Hz",
        )
    if sound.length > max_seconds * sound.rate:
        raise BodyTooLarge(
            f"the sound is {sound.length / sound.rate:.3g} s long, at most {max_seconds:g} s are accepted",
            where=where,
            fix="cut the sound, and send the parts as rows",
        )


def resample(samples: Samples, rate: int, target_rate: int) -> Samples:
    """Return the samples at another rate, without the frequencies that the lower of both can't hold."""
    resampled: Samples = soxr.resample(samples, rate, target_rate)
    return resampled
