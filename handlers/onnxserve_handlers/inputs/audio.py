"""Sounds: each row is a file, as raw bytes or as base64 in JSON, or a list of samples."""

from __future__ import annotations

import io
import wave
from base64 import b64encode
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import InvalidRow
from ..protocols.body import unwrap
from ..signature import FILE_BYTES, Schema, object_schema
from . import BASE64, EncodedInput, InputOptions, Positive
from .audio_container import is_sound
from .tensors_arrays import MASK_FIX, as_array, check_mask

Rate = Annotated[int, msgspec.Meta(ge=1_000, le=384_000)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Waveform = npt.NDArray[np.float32]
SAMPLES: Schema = {"type": "array", "items": {"type": "number"}, "minItems": 1}
FULL_SCALE = 32767  # of 16 bits
STUDIO = 2 * 192_000  # samples a second of the finest stereo that studios record
PEAK = 8.0  # 18 dB above full scale: beyond it are integers that nobody scaled
SILENCE_DB = -120.0
VARIANCE = 1e-7  # that keeps silence finite, as feature extractors of wav2vec 2.0 add it
OPEN_ENDED = "x-onnxserve-open-ended"
ARRAY, ARRAY_RATE = "array", "sampling_rate"  # of a decoded sound, as Hugging Face's data sets name them


class AudioOptions(InputOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which sounds are accepted, and how they become arrays."""

    kind: Literal["audio"] = "audio"
    """Rows are sounds; the graph's input is `audio`, float32, shape (rows, samples): one channel, full scale is 1."""
    max_bytes: Positive = FILE_BYTES
    """Largest body of a request [bytes]."""
    sample_rate: Rate = 16_000
    """Rate of the graph's samples, to which every sound is resampled [Hz]."""
    max_seconds: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """Longest sound that is accepted [s]."""
    min_seconds: Seconds = 0.0
    """Shortest sound that is accepted [s]."""
    window_seconds: Seconds = 0.0
    """Length of every sound in the graph: a longer one is cut at its end, a shorter one is followed by silence; 0 for
    the sound's own length [s]."""
    mask: bool = False
    """Give the graph `attention_mask` too, int64, 1 for samples and 0 for the silence behind them. Then sounds of
    different lengths run together."""
    normalise: bool = False
    """Shift and scale each sound to mean 0 and variance 1."""

    row_name: ClassVar[str] = "audio"

    @classmethod
    def questions(cls, known: Mapping[str, Any]) -> Mapping[str, str]:  # noqa: ARG003 - a hook
        """Return the rate of the samples."""
        return {"sample_rate": "the rate that the model was trained at [Hz], such as 16000"}

    def __post_init__(self) -> None:
        if faults := list(self._faults()):
            raise ValueError("; ".join(faults))

    def _faults(self) -> Iterator[str]:
        for name, seconds in (("min_seconds", self.min_seconds), ("window_seconds", self.window_seconds)):
            if seconds > self.max_seconds:
                yield f"{name} = {seconds:g} is more than max_seconds = {self.max_seconds:g}"
        if self.window_seconds and not self.window:
            yield f"window_seconds = {self.window_seconds:g} is less than one sample"

    @property
    def window(self) -> int:
        """The length of every sound in the graph, 0 for the sound's own [samples]."""
        return round(self.window_seconds * self.sample_rate)

    @property
    def least(self) -> int:
        """The fewest samples of a sound at `sample_rate`."""
        return max(1, round(self.min_seconds * self.sample_rate))

    @property
    def is_loggable(self) -> bool:
        """Whether the prediction log may keep rows: never."""
        return False


class SoundRow(npt.NDArray[np.float32]):
    """The samples of one row, and whether its file doesn't say where it ends."""

    is_open_ended: bool = False


class AudioInput(EncodedInput):
    """Rows are sounds; each becomes the samples of one channel at the options' rate."""

    input_options = AudioOptions
    packages: ClassVar[tuple[str, ...]] = ("miniaudio", "soundfile", "soxr")
    raw_types = ("audio/wav", "audio/flac", "audio/ogg", "audio/mpeg")
    row_keys: tuple[str, ...] = ("audio", "sound", "b64", "data")
    decoding: Any  # the module `audio_decoding`, whose libraries are of an extra

    @property
    def options(self) -> AudioOptions:
        """The kind's part of the signature."""
        return cast("AudioOptions", self.signature.input)

    def prepare(self) -> None:
        """Load the decoder, start its threads, and name the free axis where there is no window."""
        super().prepare()
        self.decoding = import_decoding()
        names = ("audio", "attention_mask") if self.options.mask else ("audio",)
        self.dynamic_axes = {} if self.options.window else {name: {1: "samples"} for name in names}

    def raw(self, content: bytes | bytearray) -> bool:
        """Recognise a sound by its first bytes, so that `curl -T sound.wav` works."""
        return is_sound(content)

    def share(self, content: bytes | bytearray) -> float:
        """Return what share a sound has of the samples of `max_seconds` in stereo at 192 kHz."""
        samples: int = self.decoding.samples_of(content)
        return samples / (self.options.max_seconds * STUDIO)

    def check(self, instance: Any, where: str) -> SoundRow:
        """Decode, check, mix, resample and cut one sound; returns float32, shape (samples,).

        Raises InvalidRow, UndecodableBody or BodyTooLarge.
        """
        spec = self.options
        samples, rate, is_open_ended = self._samples(unwrap(instance, self.row_keys), where)
        if not np.isfinite(samples).all() or np.abs(samples).max(initial=0) > PEAK:
            fix = "send samples from -1 to 1: divide integers by their full scale"
            raise InvalidRow(f"the sound has samples beyond {PEAK:g}", where=where, fix=fix)
        self._check_length(len(samples), rate, where)
        if rate != spec.sample_rate:
            samples = self.decoding.resample(samples, rate, spec.sample_rate)
        if len(samples) < spec.least:
            what = f"the sound has {len(samples)} samples at the model's rate, at least {spec.least} are expected"
            raise InvalidRow(what, where=where, fix="send a longer sound")
        row = samples[: spec.window or None].view(SoundRow)
        row.is_open_ended = is_open_ended
        return row

    def _samples(self, instance: Any, where: str) -> tuple[Waveform, int, bool]:
        """Return samples, shape (samples,), their rate, and whether their file doesn't say where it ends."""
        rate = self.options.sample_rate
        if isinstance(instance, dict) and instance.keys() == {ARRAY, ARRAY_RATE}:
            instance, rate = instance[ARRAY], self._rate(instance[ARRAY_RATE], f"{where}.{ARRAY_RATE}")
        if not isinstance(instance, list):
            content = self.content(instance, where)
            decoded: tuple[Waveform, int, bool] = self.decoding.decode(content, self.options.max_seconds, where)
            return decoded
        array = as_array(instance, where)
        if array.ndim != 1 or array.dtype.kind == "b":
            reason = f"the samples have shape {array.shape}" if array.ndim != 1 else "the samples are true or false"
            raise InvalidRow(reason, where=where, fix="send one list of numbers")
        with np.errstate(over="ignore"):
            return array.astype(np.float32), rate, False

    def _rate(self, rate: Any, where: str) -> int:
        try:
            return msgspec.convert(rate, Rate)
        except msgspec.ValidationError as error:
            raise InvalidRow(f"{error}", where=where, fix="send the samples per second") from error

    def _check_length(self, samples: int, rate: int, where: str) -> None:
        spec, seconds = self.options, samples / rate
        if not samples or seconds < spec.min_seconds:
            least = f"{spec.min_seconds:g} s" if samples else "one sample"
            raise InvalidRow(
                f"the sound is {seconds:.3g} s long, at least {least} is expected",
                where=where,
                fix="send a longer sound",
            )
        if seconds > spec.max_seconds:
            raise InvalidRow(
                f"the sound is {seconds:.3g} s long, at most {spec.max_seconds:g} s are accepted",
                where=where,
                fix="cut the sound, and send the parts as rows",
            )

    def notes(self, rows: Sequence[Any]) -> tuple[tuple[str, str], ...]:
        """Return a header with the number of sounds that may be parts of longer ones, as nothing in them can tell."""
        count = sum(isinstance(row, SoundRow) and row.is_open_ended for row in rows)
        return ((OPEN_ENDED, str(count)),) if count else ()

    def batch_keys(self, rows: Sequence[Waveform]) -> list[Hashable] | None:
        """Return each sound's length, if neither a window nor a mask lets different lengths run together."""
        return None if self.options.window or self.options.mask else [len(row) for row in rows]

    def lengths(self, rows: Sequence[Waveform]) -> list[int] | None:
        """Return each sound's samples, without a window."""
        return None if self.options.window else [len(row) for row in rows]

    def free_axes(self) -> dict[str, int]:
        """Return the most samples of a sound, which bound a client's arrays of samples too; nothing with a window."""
        return {} if self.options.window else {"samples": int(self.options.max_seconds * self.options.sample_rate)}

    def least_sizes(self) -> dict[str, int]:
        """Return as many samples as the shortest sound has."""
        return {} if self.options.window else {"samples": self.options.least}

    def tensors(self, rows: Sequence[Waveform]) -> dict[str, npt.NDArray[Any]]:
        """Return `audio`, float32, shape (rows, samples), and with `mask` its `attention_mask`, int64."""
        shape = (len(rows), self.options.window or max(map(len, rows)))
        samples = self.buffers.take("audio", shape, np.float32)
        samples.fill(0)
        for index, row in enumerate(rows):
            samples[index, : len(row)] = standardise(row) if self.options.normalise else row
        if not self.options.mask:
            return {"audio": samples}
        mask = self.buffers.take("attention_mask", shape, np.int64)
        mask[:] = np.arange(shape[1]) < np.array([[len(row)] for row in rows])
        return {"audio": samples, "attention_mask": mask}

    def tensor_masks(self, tensors: Mapping[str, npt.NDArray[Any]]) -> Mapping[str, npt.NDArray[np.bool_]]:
        """Return which samples `attention_mask` leaves, shape (rows, samples), if they are a free axis."""
        mask = tensors.get("attention_mask")
        return {} if mask is None or self.options.window else {"samples": mask == 1}

    def check_values(self, tensors: dict[str, npt.NDArray[Any]]) -> None:
        """Raise InvalidRow for a mask of other values than 0 and 1."""
        mask = tensors.get("attention_mask")
        if mask is not None and not ((mask == 0) | (mask == 1)).all():
            raise InvalidRow("the input has values other than 0 and 1", where="inputs.attention_mask", fix=MASK_FIX)
        check_mask(tensors)

    def sample(self, draws: np.random.Generator) -> str:
        """Return a tone in noise, a WAV file of at most a second in base64, or as long as sounds must be."""
        spec = self.options
        longest = min(spec.max_seconds, max(spec.window_seconds, spec.min_seconds, 1.0))
        count = max(1, int(draws.uniform(spec.min_seconds, longest) * spec.sample_rate))
        phase = np.arange(count) * draws.uniform(0.01, np.pi)
        samples = draws.uniform(0.05, 0.9) * np.sin(phase) + draws.normal(0, 0.02, count)
        stream = io.BytesIO()
        with wave.open(stream, "wb") as file:
            file.setparams((1, 2, spec.sample_rate, count, "NONE", ""))
            file.writeframes((samples.clip(-1, 1) * FULL_SCALE).astype("<i2").tobytes())
        return b64encode(stream.getvalue()).decode()

    def measures(self, rows: Sequence[Waveform]) -> Mapping[str, npt.NDArray[np.float64]]:
        """Return each sound's length after the cut [s] and its level [dB of full scale], shape (rows,).

        The level is the root mean square.
        """
        powers = np.array([float(np.square(row, dtype=np.float64).mean()) for row in rows])
        return {
            "duration": np.array([len(row) / self.options.sample_rate for row in rows]),
            "level": 10 * np.log10(np.maximum(powers, 10 ** (SILENCE_DB / 10))),
        }

    def row_schema(self) -> Schema:
        """Return the schema of `{"audio": ...}`: a file, or samples at the model's rate or at one that is given."""
        rate: Schema = {"type": "integer", "minimum": 1_000, "maximum": 384_000}
        decoded = object_schema({ARRAY: SAMPLES, ARRAY_RATE: rate}, [ARRAY, ARRAY_RATE])
        return object_schema({"audio": {"oneOf": [BASE64, SAMPLES, decoded]}}, ["audio"])


def import_decoding() -> Any:
    """Return the module that decodes sounds; ModuleNotFoundError says which extra has its libraries."""
    try:
        from . import audio_decoding
    except ModuleNotFoundError as error:
        what = f"{error.name} is missing, which reads sounds: pip install 'onnxserve[audio]'"
        raise ModuleNotFoundError(what, name=error.name) from error
    return audio_decoding


def standardise(row: Waveform) -> Waveform:
    """Return a sound with mean 0 and variance 1."""
    scaled: Waveform = (row - row.mean()) / np.sqrt(row.var() + VARIANCE)
    return scaled
