"""Log-mel spectrograms as the first layers of a model of transformers, so that its rows are samples.

What a feature extractor does to each frame, up to its spectrum, is linear: one convolution of the samples does all of
it. So the spectrogram is a part of the graph and of its proof, and a server needs no code for it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional

FRAME, HOP = 400, 160  # samples of a frame, and from one to the next; 25 and 10 ms at 16 kHz
KALDI_BINS, WHISPER_BINS = 257, 201  # frequencies of a spectrum: of a frame that is padded to 512, and of the frame
PREEMPHASIS = 0.97
FLOOR = 1.192092955078125e-07  # of Kaldi's energies: float32's epsilon
AST, WHISPER = "ASTFeatureExtractor", "WhisperFeatureExtractor"


def window_samples(processor: Mapping[str, Any]) -> int:
    """Return how many samples a spectrogram is made of."""
    if processor.get("feature_extractor_type") == WHISPER:
        return int(processor.get("chunk_length", 30)) * int(processor.get("sampling_rate", 16_000))
    return FRAME + HOP * (int(processor.get("max_length", 1024)) - 1)


class FromSamples(torch.nn.Module):
    """A model of spectrograms behind the layers that make them of samples."""

    def __init__(self, spectrogram: torch.nn.Module, model: torch.nn.Module) -> None:
        super().__init__()
        self.spectrogram, self.model = spectrogram, model
        self.main_input = str(model.main_input_name)


class FromSounds(FromSamples):
    """The same for samples of one length, which silence fills."""

    def forward(self, audio: torch.Tensor) -> Any:
        """Return what the model returns; `audio` has the shape (rows, samples)."""
        return self.model(**{self.main_input: self.spectrogram(audio)})


class FromMaskedSounds(FromSamples):
    """The same for samples whose own length a mask says, both of shape (rows, samples)."""

    def forward(self, audio: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        """Return what the model returns."""
        return self.model(**{self.main_input: self.spectrogram(audio, attention_mask)})


def from_samples(processor: Mapping[str, Any], model: torch.nn.Module) -> torch.nn.Module | None:
    """Return a model that takes samples; None if its folder's feature extractor makes no spectrogram."""
    match processor.get("feature_extractor_type"):
        case "ASTFeatureExtractor":
            return FromMaskedSounds(KaldiSpectrogram(processor), model)
        case "WhisperFeatureExtractor":
            return FromSounds(WhisperSpectrogram(processor), model)
        case _:
            return None


class KaldiSpectrogram(torch.nn.Module):
    """Kaldi's filter banks as ASTFeatureExtractor has them: frames beyond the sound are 0, before the normalisation.

    Source: https://kaldi-asr.org/doc/feat.html.
    """

    kernel: torch.Tensor
    filters: torch.Tensor

    def __init__(self, processor: Mapping[str, Any]) -> None:
        super().__init__()
        from transformers.audio_utils import mel_filter_bank

        rate, bins = int(processor.get("sampling_rate", 16_000)), int(processor.get("num_mel_bins", 128))
        limits = {"min_frequency": 20, "max_frequency": rate // 2, "sampling_rate": rate}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the lowest filters are empty, in the extractor too
            filters = mel_filter_bank(KALDI_BINS, bins, **limits, mel_scale="kaldi", triangularize_in_mel_space=True)
        centred = np.eye(FRAME) - 1 / FRAME
        emphasised = np.eye(FRAME) - PREEMPHASIS * np.eye(FRAME, k=-1)
        emphasised[0, 0] = 1 - PREEMPHASIS
        frame = np.hanning(FRAME)[:, None] * (emphasised @ centred)
        self.register_buffer("kernel", spectrum_kernel(frame, 2 * (KALDI_BINS - 1)))
        self.register_buffer("filters", torch.from_numpy(filters.T.astype(np.float32)))
        normalises = bool(processor.get("do_normalize", True))
        self.mean = float(processor.get("mean", -4.2677393)) if normalises else 0.0
        self.spread = 2 * float(processor.get("std", 4.5689974)) if normalises else 1.0

    def forward(self, audio: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the logarithms of energies, shape (rows, frames, filters), for arguments of shape (rows, samples)."""
        energies = torch.matmul(self.filters, powers(audio, self.kernel))
        levels = torch.clamp(energies, min=FLOOR).log().transpose(1, 2)
        frames = torch.div(attention_mask.sum(1, keepdim=True) - FRAME, HOP, rounding_mode="floor") + 1
        inside = torch.arange(levels.shape[1])[None] < frames
        return (torch.where(inside[:, :, None], levels, 0.0) - self.mean) / self.spread


class WhisperSpectrogram(torch.nn.Module):
    """Whisper's spectrogram: Slaney's filters, 8 decades below the loudest point at most.

    Source: A. Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023, section 2.2.
    """

    kernel: torch.Tensor
    filters: torch.Tensor

    def __init__(self, processor: Mapping[str, Any]) -> None:
        super().__init__()
        from transformers.audio_utils import mel_filter_bank

        rate, bins = int(processor.get("sampling_rate", 16_000)), int(processor.get("feature_size", 80))
        limits = {"min_frequency": 0.0, "max_frequency": 8000.0, "sampling_rate": rate}
        filters = mel_filter_bank(WHISPER_BINS, bins, **limits, norm="slaney", mel_scale="slaney")
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
        self.register_buffer("kernel", spectrum_kernel(np.diag(window), FRAME))
        self.register_buffer("filters", torch.from_numpy(filters.T.astype(np.float32)))

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """Return scaled logarithms of energies, shape (rows, filters, frames), for `audio` of (rows, samples)."""
        mirrored = functional.pad(audio[:, None], (FRAME // 2, FRAME // 2), mode="reflect")[:, 0]
        energies = torch.matmul(self.filters, powers(mirrored, self.kernel)[:, :, :-1])
        levels = torch.clamp(energies, min=1e-10).log10()
        return (torch.maximum(levels, levels.amax((1, 2), keepdim=True) - 8.0) + 4.0) / 4.0


def spectrum_kernel(frame: np.ndarray[Any, Any], length: int) -> torch.Tensor:
    """Return the convolution's weights for the spectrum of a frame that is multiplied by a matrix, then padded.

    Shape (2 * frequencies, 1, samples): cosines, then sines, of a discrete Fourier transform of `length`.
    """
    phases = 2 * np.pi / length * np.outer(np.arange(length // 2 + 1), np.arange(len(frame)))
    waves = np.concatenate([np.cos(phases), np.sin(phases)]) @ frame
    return torch.from_numpy(waves[:, None].astype(np.float32))


def powers(audio: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Return the power spectrum of each frame, shape (rows, frequencies, frames)."""
    real, imaginary = functional.conv1d(audio[:, None], kernel, stride=HOP).chunk(2, dim=1)
    return real * real + imaginary * imaginary
