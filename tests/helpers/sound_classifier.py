"""A convolutional network for sounds with seeded weights."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .import_command import FP32, Words, sets
from .modules import load_module
from .sounds import saved, sounds, tone

RATE, WINDOW = 8000, 4000  # Hz, samples
LABELS = ("bird", "bell")
MODEL = """
import torch
from torch import nn


class SoundClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(1, 8, 64, 16), nn.ReLU(), nn.Conv1d(8, 8, 5, 2), nn.ReLU())
        self.head = nn.Linear(8, 2)

    def forward(self, audio):
        return 200 * self.head(self.layers(audio[:, None]).mean(2))


def load():
    torch.manual_seed(21)
    return SoundClassifier().eval()
"""


@cache
def network() -> Any:
    """Return the module."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound_classifier.py"
        path.write_text(MODEL)
        return load_module(path).load()


def scores(samples: np.ndarray) -> dict[str, float]:
    """Return the source's probability of each label for samples at its rate, cut or followed by silence."""
    import torch

    window = np.zeros((1, WINDOW), np.float32)
    window[0, : len(samples)] = samples[:WINDOW]
    with torch.inference_mode():
        [values] = network()(torch.from_numpy(window)).softmax(1).numpy()
    return dict(zip(LABELS, np.asarray(values).tolist(), strict=True))


def label(samples: np.ndarray) -> str:
    """Return the source's label."""
    known = scores(samples)
    return max(known, key=lambda name: known[name])


def files() -> dict[str, tuple[bytes, np.ndarray]]:
    """Return sounds by file name, each with the samples that it holds at the network's rate."""
    pitches = {f"{pitch}.wav": tone(pitch, RATE, 0.2 + pitch / 4000) for pitch in range(200, 1240, 8)}
    return {
        **sounds(RATE),
        **{name: (saved(samples, RATE, subtype="FLOAT"), samples) for name, samples in pitches.items()},
    }


def command(folder: Path) -> Words:
    """Write the function, and sounds as rows, in a folder of each class."""
    (folder / "sound_classifier.py").write_text(MODEL)
    for name, (content, samples) in files().items():
        home = folder / "sounds" / label(samples)
        home.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(content)
    length = sets(input__sample_rate=RATE, input__max_seconds=2.0, input__window_seconds=WINDOW / RATE)
    words = ("--kind", "audio", "--labels", ",".join(LABELS), "--rows", "sounds")
    return ("import", "sound_classifier.py:load", "sound-classifier", *words, *length, *FP32)
