"""Sounds of known samples, as files in the forms that clients send."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import soundfile


def tone(pitch: float, rate: int, seconds: float = 0.5, level: float = 0.5) -> np.ndarray:
    """Return a tone that fades in and out, float64, shape (samples,): what any rate above twice its pitch can hold."""
    count = round(rate * seconds)
    times = np.arange(count) / rate
    samples: np.ndarray = level * np.sin(2 * np.pi * pitch * times) * np.sin(np.pi * times / seconds) ** 2
    return samples


def saved(
    samples: np.ndarray, rate: int, kind: str = "WAV", subtype: str | None = None, endian: str | None = None
) -> bytes:
    """Return samples, shape (samples,) or (samples, channels), as a file."""
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, subtype, endian, format=kind)
    return stream.getvalue()


def sounds(rate: int) -> dict[str, tuple[bytes, np.ndarray]]:
    """Return files by name, each with the samples that it holds as one channel at `rate`."""
    low, high = tone(300, rate), tone(1100, rate, 0.3)
    pair = np.stack([low, tone(700, rate)], axis=1)
    forms: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
        "low.wav": (low, {"subtype": "PCM_16"}),
        "deep.wav": (high, {"subtype": "PCM_24"}),
        "float.wav": (low, {"subtype": "FLOAT"}),
        "stereo.flac": (pair, {"kind": "FLAC"}),
    }
    files = {}
    for name, (samples, options) in forms.items():
        content = saved(samples, rate, **options)
        held, _ = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
        files[name] = content, held.mean(axis=1)
    return files
