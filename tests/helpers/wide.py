"""A model that answers each row with many values, so that answers can be larger than a server sends."""

from __future__ import annotations

from pathlib import Path

from onnxserve_export.export import export_model
from onnxserve_export.steps import STEPS
from tests.helpers.definitions import regression_toml

VALUES, ROWS = 2000, 1200  # of a row, and of a request at most
SERVE = """
[serve]
max_batch_delay_ms = 20
p99_ms = 60000
"""
MODEL = f'''"""A layer from two numbers to many."""

import random

import torch


class Named(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, {VALUES})

    def forward(self, features):
        return self.layer(features)


def load():
    torch.manual_seed(1)
    return Named()


def rows():
    draws = random.Random(1)
    return [([draws.gauss(0, 1), draws.gauss(0, 1)], 0.0) for _ in range(150)]
'''


def export_wide(folder: Path) -> tuple[Path, list[str]]:
    """The archive, and what the export said."""
    model = folder / "wide"
    model.mkdir(parents=True)
    toml = regression_toml("wide", inputs=f"max_rows = {ROWS}\n", quantise=f"proof_rows = 20\n{SERVE}")
    (model / "model.toml").write_text(toml)
    (model / "model.py").write_text(MODEL)
    (model / "golden.jsonl").write_text('{"input": [0.5, -1.0]}\n{"input": [2.0, 0.25]}\n')
    lines: list[str] = []
    return export_model(model, folder / "store", STEPS, lines.append).archive, lines
