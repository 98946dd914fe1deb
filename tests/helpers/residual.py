"""A residual network with seeded weights and ImageNet's preprocessing: as a function, and as an old archive."""

from __future__ import annotations

import json
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .import_command import FP32, Words, pictures, sets, write_files
from .modules import load_module
from .photos import IMAGENET, imagenet, viewed
from .stock import MANIFEST, document, write_zip

LABELS = ("cat", "dog", "fox", "owl")
SHORTER, SIZE = 64, 56  # pixels
MODEL = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
        )

    def forward(self, x):
        return torch.relu(x + self.layers(x))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        self.blocks = nn.Sequential(Block(8), Block(8))
        self.head = nn.Linear(8, 4)

    def forward(self, image):
        return 20 * self.head(self.blocks(self.stem(image)).mean((2, 3)))


def load():
    torch.manual_seed(16)
    return Residual().eval()
"""


@cache
def network() -> Any:
    """Return the module."""
    with tempfile.TemporaryDirectory() as folder:
        return written_network(Path(folder))


def written_network(folder: Path) -> Any:
    """Return the module of a file that is written; TorchScript is compiled from it."""
    path = folder / "residual.py"
    path.write_text(MODEL)
    return load_module(path).load()


def command(folder: Path) -> Words:
    """Write the function and photos as rows."""
    (folder / "residual.py").write_text(MODEL)
    size = sets(input__height=SIZE, input__width=SIZE, input__shorter_side=SHORTER)
    levels = sets(**{f"input__{name}": value for name, value in IMAGENET.items()})
    words = ("--kind", "image", "--labels", ",".join(LABELS), "--rows", write_files(folder / "photos", pictures()))
    return ("import", "residual.py:load", "residual", *words, *size, *levels, *FP32)


def old_archive(folder: Path) -> Path:
    """Write what torch-model-archiver makes of the network in TorchScript for `image_classifier`."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        torch.jit.script(written_network(folder)).save(folder / "old.pt")
    names = json.dumps({str(number): [f"n{number}", name] for number, name in enumerate(LABELS)})
    manifest = document("old", "image_classifier", serializedFile="old.pt", modelVersion="1.0")
    members = {"old.pt": (folder / "old.pt").read_bytes(), "index_to_name.json": names.encode()}
    return write_zip(folder / "old.mar", {**members, MANIFEST: json.dumps(manifest).encode()})


def old_command(folder: Path) -> Words:
    """Write the old archive and photos as rows."""
    rows = write_files(folder / "kittens", pictures())
    return ("import", old_archive(folder).name, "old", "--version", "1.0.0", "--rows", rows, "--draft")


def scores(content: bytes, shorter: int = SHORTER, size: int = SIZE) -> dict[str, float]:
    """Return the source's probability of each label for a photo, after the reference transform."""
    import torch

    image = imagenet(viewed(content), shorter, size)
    with torch.inference_mode():
        [values] = network()(torch.from_numpy(image[None])).softmax(1).numpy()
    return dict(zip(LABELS, np.asarray(values).tolist(), strict=True))
