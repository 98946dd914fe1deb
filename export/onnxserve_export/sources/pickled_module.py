"""A whole torch module in a pickle, which torch.save wrote: it is read only where it is trusted."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from onnxserve.errors import DefinitionError

from .torch_module import TorchModule

CLASSES = "the classes of the module must be importable from the current folder or an installed package"


def open_pickled(path: Path, outputs: Sequence[str] = ()) -> TorchModule:
    """Return the module of a file, which runs whatever code the file names; DefinitionError if it has none.

    Source: `torch.load(…, weights_only=False)`, https://docs.pytorch.org/docs/stable/generated/torch.load.html.
    """
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=False)
    except (pickle.UnpicklingError, EOFError, ImportError, AttributeError, RuntimeError, ValueError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise DefinitionError(f"{path.name} can't be read: {lines[0]}", where=str(path), fix=CLASSES) from error
    if not isinstance(content, torch.nn.Module):
        raise DefinitionError(
            f"{path.name} has {type(content).__name__}, which isn't a module",
            where=str(path),
            fix="a state dict needs the code of its module: write a function that builds the module and loads the "
            "weights with torch.load(…, weights_only=True), and name that as the source: model.py:load",
        )
    return TorchModule(content, outputs)
