"""A table model: rows from a CSV file, a module trained here in seconds."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import torch
from torch import nn

LABELS = ("brickface", "cement", "foliage", "grass", "path", "sky", "window")
EPOCHS = 150


class Segment(nn.Module):
    """Standardise, two hidden layers; `features` is float32 (batch, 18), the answer logits (batch, 7)."""

    def __init__(self, mean: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__()
        self.mean = nn.Buffer(mean)
        self.scale = nn.Buffer(scale)
        self.layers = nn.Sequential(
            nn.Linear(len(mean), 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, len(LABELS))
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of the seven surfaces."""
        logits: torch.Tensor = self.layers((features - self.mean) / self.scale)
        return logits


def rows(sources: dict[str, Path]) -> list[tuple[list[float], str]]:
    """All labelled rows, values in the order of the columns in model.toml."""
    with zipfile.ZipFile(sources["river"] / "river" / "datasets" / "segment.csv.zip") as archive:
        text = archive.read(archive.namelist()[0]).decode()
    table = list(csv.DictReader(io.StringIO(text)))
    return [([float(value) for name, value in row.items() if name != "category"], row["category"]) for row in table]


def load(fit: list[tuple[list[float], str]]) -> nn.Module:
    """Train on the fit rows; the exporter seeds torch, so the result is the same each time."""
    torch.set_num_threads(1)  # of batches as small as these, more threads wait for each other, long on a busy machine
    features = torch.tensor([values for values, _ in fit])
    targets = torch.tensor([LABELS.index(label) for _, label in fit])
    model = Segment(features.mean(0), features.std(0).clamp_min(1e-6))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-3)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(features)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(features[batch]), targets[batch]).backward()
            optimiser.step()
    return model
