"""Models of sounds of any length: with a mask, and where only sounds of one length run together."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxserve.errors import CheckFailed
from onnxserve.scaffold import new_model
from onnxserve_export.export import export_model
from onnxserve_export.export_state import ExportState
from onnxserve_export.options import ExportOptions
from onnxserve_export.steps import STEPS

MASKED = """    def forward(self, audio: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        sounds = self.layers[1](self.layers[0](audio[:, None]))
        mask = attention_mask[:, 31::8].float()[:, None]
        return self.layers[4]((sounds * mask).sum(2) / mask.sum(2))
"""


def with_options(folder: Path, options: str) -> Path:
    """Return the template's folder with other options in place of its window."""
    model = new_model("audio", "pitch", folder / "models")
    toml = (model / "model.toml").read_text().replace("max_seconds = 10.0", "max_seconds = 0.2")
    (model / "model.toml").write_text(toml.replace("window_seconds = 0.1", options))
    text = (model / "model.py").read_text().replace("range(900)", "range(60)").replace("range(100)", "range(1)")
    (model / "model.py").write_text(text)
    (model / "golden.jsonl").write_text((model / "golden.jsonl").read_text().replace('"label"', '"unused"'))
    return model


def exported(model: Path) -> ExportState:
    return export_model(model, model / "store", STEPS, lambda _: None, options=ExportOptions(draft=True))


def test_a_mask_lets_sounds_of_any_length_run_together_with_equal_answers(tmp_path):
    model = with_options(tmp_path, "min_seconds = 0.02\nmask = true\nnormalise = true")
    text = (model / "model.py").read_text().replace("model(sounds)", "model(sounds, torch.ones_like(sounds))")
    start, stop = text.index("    def forward"), text.index("\n\ndef load")
    (model / "model.py").write_text(text[:start] + MASKED + text[stop:])
    state = exported(model)
    assert state.axes == {"audio": {1: "samples"}, "attention_mask": {1: "samples"}}
    assert (state.limits, state.least) == ({"samples": 1600}, {"samples": 160})
    assert (model / "store" / "pitch-1.0.0.mar").is_file()


def test_a_length_that_the_models_first_convolution_cant_take_is_named(tmp_path):
    with pytest.raises(
        CheckFailed, match=r"axis 1 of audio holds from 32 to None only; allowed: 24 to 1600"
    ) as refusal:
        exported(with_options(tmp_path, "min_seconds = 0.003"))
    assert "input.min_seconds" in refusal.value.fix
