"""The sound side of a transformers folder: rate, normalisation and length of the samples."""

from __future__ import annotations

from typing import Any

from onnxserve.errors import DefinitionError
from onnxserve_export.sources.pretrained import CONFIG
from onnxserve_export.sources.spectrogram import AST, FRAME, HOP, WHISPER, window_samples

from .outline import Outline

PROCESSOR = "preprocessor_config.json"
SAMPLES = "Wav2Vec2FeatureExtractor"  # gives the samples themselves
RATE = 16_000  # Hz, of an extractor that states none
NORM_OVER_TIME = "group"  # it reaches over padding, which a mask can't hide: sounds of one length run together
TAKEN = (SAMPLES, AST, WHISPER)


def read_sound(outline: Outline, config: dict[str, Any], processor: dict[str, Any]) -> None:
    """Read the extractor's settings and the shortest sound; DefinitionError for an extractor that isn't taken."""
    name = str(processor.get("feature_extractor_type", ""))
    if name and name not in TAKEN:
        raise DefinitionError(
            f"{name} isn't taken: {', '.join(TAKEN)} are",
            where=PROCESSOR,
            fix='compute what it gives in the module: write model.py, and set source = "model.py:load"',
        )
    if rate := processor.get("sampling_rate"):
        outline.add("input.sample_rate", int(rate), f"{PROCESSOR}: sampling_rate")
    outline.ask("input.sample_rate", f"the folder has no {PROCESSOR} that states a rate, in Hz")
    if name in (AST, WHISPER):
        _read_window(outline, processor, name)
        return
    if name or "do_normalize" in processor:  # the extractor's own default is to normalise
        outline.add("input.normalise", bool(processor.get("do_normalize", True)), f"{PROCESSOR}: do_normalize")
    if processor.get("return_attention_mask") and config.get("feat_extract_norm") != NORM_OVER_TIME:
        outline.add("input.mask", True, f"{PROCESSOR}: return_attention_mask")
    if (samples := least_samples(config)) > 1 and not outline.get("input.window_seconds"):
        seconds = samples / int(outline.get("input.sample_rate", RATE))
        outline.add("input.min_seconds", seconds, f"{CONFIG}: conv_kernel and conv_stride, {samples} samples")


def least_samples(config: dict[str, Any]) -> int:
    """Return the fewest samples of which the convolutions over the sound make one frame; 1 without convolutions."""
    samples = 1
    for kernel, stride in zip(
        reversed(config.get("conv_kernel", ())), reversed(config.get("conv_stride", ())), strict=False
    ):
        samples = (samples - 1) * int(stride) + int(kernel)
    return samples


def _read_window(outline: Outline, processor: dict[str, Any], name: str) -> None:
    """Read the length of the sounds that a spectrogram is made of; the graph makes it."""
    settings = {"hop_length": HOP, "n_fft": FRAME, "padding_value": 0.0, "dither": 0.0}
    if name == WHISPER:
        settings["do_normalize"] = False
    if other := [field for field, usual in settings.items() if processor.get(field, usual) != usual]:
        raise DefinitionError(
            f"{name} has {', '.join(f'{field} = {processor[field]!r}' for field in other)}, which isn't taken",
            where=PROCESSOR,
            fix=f"only {', '.join(f'{field} = {settings[field]!r}' for field in other)} is; else write model.py",
        )
    seconds = window_samples(processor) / int(processor.get("sampling_rate") or RATE)
    outline.add("input.window_seconds", seconds, f"{PROCESSOR}: the length of {name}'s spectrograms")
    if name == AST:
        outline.add("input.mask", True, "a spectrogram is 0 behind the sound's own end")
        outline.add("input.min_seconds", FRAME / int(processor.get("sampling_rate") or RATE), "one frame")
