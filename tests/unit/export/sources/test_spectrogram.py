"""Spectrograms of samples are those of transformers' own feature extractors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from onnxserve_export.sources.spectrogram import KaldiSpectrogram, WhisperSpectrogram, window_samples

transformers = pytest.importorskip("transformers")
RATE = 16_000
# Of transformers: the lowest filters of a bank of 128 hold no frequency.
pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values:UserWarning")


def sound(seconds: float) -> np.ndarray:
    """A rising tone in noise, off zero, that becomes silent for its last tenth."""
    count = int(seconds * RATE)
    draws, time = np.random.default_rng(count), np.arange(count) / RATE
    samples = 0.4 * np.sin(2 * np.pi * (200 + 300 * time) * time) + draws.normal(0, 0.05, count) + 0.01
    samples[-count // 10 :] = 0
    return samples.astype(np.float32)


def settings(extractor: Any) -> dict[str, Any]:
    document: dict[str, Any] = extractor.to_dict()
    return document


def in_window(samples: np.ndarray, window: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples as the kind audio gives them, cut at the window or followed by silence, and their mask."""
    cut = samples[:window]
    mask = np.arange(window) < len(cut)
    return torch.from_numpy(np.pad(cut, (0, window - len(cut))))[None], torch.from_numpy(mask.astype(np.int64))[None]


@pytest.mark.parametrize("seconds", [0.025, 0.4137, 3.0, 12.0])
@pytest.mark.parametrize("options", [{}, {"do_normalize": False, "num_mel_bins": 64, "max_length": 300}])
def test_filter_banks_are_those_of_the_audio_spectrogram_transformer(seconds, options):
    extractor = transformers.ASTFeatureExtractor(**options)
    expected = extractor(sound(seconds), sampling_rate=RATE, return_tensors="np")["input_values"]
    processor = settings(extractor)
    assert np.ptp(expected) > 1
    spectrogram = KaldiSpectrogram(processor)(*in_window(sound(seconds), window_samples(processor)))
    assert spectrogram.shape == expected.shape
    np.testing.assert_allclose(spectrogram.numpy(), expected, atol=2e-3)


@pytest.mark.parametrize(
    ("seconds", "options"), [(0.1, {}), (7.3, {}), (31.0, {}), (2.0, {"feature_size": 128, "chunk_length": 5})]
)
def test_spectrograms_are_those_of_whisper(seconds, options):
    extractor = transformers.WhisperFeatureExtractor(**options)
    expected = extractor(sound(seconds), sampling_rate=RATE, return_tensors="np")["input_features"]
    processor = settings(extractor)
    spectrogram = WhisperSpectrogram(processor)(in_window(sound(seconds), window_samples(processor))[0])
    assert spectrogram.shape == expected.shape
    np.testing.assert_allclose(spectrogram.numpy(), expected, atol=2e-3)
