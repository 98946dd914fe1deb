"""The sound side of a transformers folder: rate and normalisation of the samples."""

from __future__ import annotations

from typing import Any

from onnxserve.errors import DefinitionError

from .outline import Outline

PROCESSOR = "preprocessor_config.json"
SAMPLES = "Wav2Vec2FeatureExtractor"  # gives the samples themselves; others give spectrograms


def read_sound(outline: Outline, processor: dict[str, Any]) -> None:
    """Read the feature extractor's settings; DefinitionError for one that makes spectrograms."""
    name = str(processor.get("feature_extractor_type", ""))
    if name and name != SAMPLES:
        raise DefinitionError(
            f"{name} makes spectrograms, and the kind audio gives the model samples",
            where=PROCESSOR,
            fix='compute the spectrogram in the module: write model.py, and set source = "model.py:load"',
        )
    if rate := processor.get("sampling_rate"):
        outline.add("input.sample_rate", int(rate), f"{PROCESSOR}: sampling_rate")
    outline.ask("input.sample_rate", f"the folder has no {PROCESSOR} that states a rate, in Hz")
    if name or "do_normalize" in processor:  # the extractor's own default is to normalise
        outline.add("input.normalise", bool(processor.get("do_normalize", True)), f"{PROCESSOR}: do_normalize")
    if processor.get("return_attention_mask"):
        outline.add("input.mask", True, f"{PROCESSOR}: return_attention_mask")
