"""A table model on joined features: keys and times here, the exporter joins what was known then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from .data import customer_rows, write_table

LABELS = ("leaves", "stays")
EPOCHS = 40


class Churn(nn.Module):
    """Standardise, one hidden layer; `features` is float32 (batch, 6), the answer logits (batch, 2)."""

    def __init__(self, mean: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__()
        self.mean = nn.Buffer(mean)
        self.scale = nn.Buffer(scale)
        self.layers = nn.Sequential(nn.Linear(len(mean), 32), nn.ReLU(), nn.Linear(32, len(LABELS)))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of leaving and staying."""
        logits: torch.Tensor = self.layers((features - self.mean) / self.scale)
        return logits


def rows() -> Iterator[tuple[dict[str, Any], str]]:
    """Keys, times and what came with the request; the store's features are joined to them."""
    write_table()
    table, labels = customer_rows()
    return zip(table.to_pylist(), labels, strict=True)


def load(fit: list[tuple[list[float], str]]) -> nn.Module:
    """Train on the fit rows; the exporter seeds torch, so the result is the same each time."""
    features = torch.tensor([values for values, _ in fit])
    targets = torch.tensor([LABELS.index(label) for _, label in fit])
    model = Churn(features.mean(0), features.std(0).clamp_min(1e-6))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-3)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(features)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(features[batch]), targets[batch]).backward()
            optimiser.step()
    return model
