"""Generated rows on which the source fails: they are left out where there are others, and the user is told."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import torch

from onnxserve_export.export import export_model
from onnxserve_export.export_state import ExportState
from onnxserve_export.preprocess import GENERATED, failure_on
from onnxserve_export.sources.torch_module import TorchModule
from onnxserve_export.steps import STEPS

STEPS_SO_FAR = STEPS[: [step.name for step in STEPS].index("preprocess") + 1]
FAILING = """

class Bounded(Circle):
    def forward(self, features):
        if features.abs().max() > {most}:
            raise ValueError("a number is too large\\nby far")
        return super().forward(features)


def load(fit):
    return Bounded()
"""


class Picky(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x[0, 0] < 0:
            raise ValueError("negative\nx" if x[0, 0] > -2 else "")
        return x


def batch(value: float) -> dict[str, np.ndarray]:
    return {"x": np.full((1, 2), value, np.float32)}


def test_the_reason_is_the_first_line_of_what_the_source_raises_first():
    source = TorchModule(Picky())
    assert failure_on(source, [batch(1), batch(-1), batch(-3)]) == "ValueError: negative"
    assert failure_on(source, [batch(-3)]) == "ValueError: no message"
    assert failure_on(source, [batch(1), batch(0)]) == ""
    assert failure_on(source, []) == ""


def preprocessed(definition: Path, folder: Path, most: float) -> tuple[ExportState, str]:
    """Preprocess the rows of a model that fails above a number; return what was said too."""
    model, lines = Path(shutil.copytree(definition, folder / "circle")), list[str]()
    with (model / "model.py").open("a", encoding="utf-8") as code:
        code.write(FAILING.format(most=most))
    return export_model(model, folder / "store", STEPS_SO_FAR, lines.append), "\n".join(lines)


def test_generated_rows_on_which_the_source_fails_are_left_out_beside_real_ones(definition, tmp_path):
    state, output = preprocessed(definition, tmp_path, 2)  # no row of the definition is larger
    assert len(state.groups.generated) == 0
    assert len(state.groups.certify) > 0
    assert "torch fails on rows generated within the signature, so only yours are compared" in output
    assert "nothing proves: ValueError: a number is too large\n" in f"{output}\n"


def test_generated_rows_that_the_source_answers_stay_beside_real_ones(definition, tmp_path):
    state, output = preprocessed(definition, tmp_path, 1e9)
    assert len(state.groups.generated) == math.ceil(GENERATED / state.definition.serve.batch_size)
    assert "fails on rows" not in output
