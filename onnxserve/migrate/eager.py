"""An eager model: a Python file with one class, and the state dict that it loads."""

from __future__ import annotations

import ast

from onnxserve.errors import ArchiveError

from .stock import StockArchive

OLD = "torchserve"  # the folder of the old archive's files: they import each other by plain names
UNQUOTED = str.maketrans({'"': "'", "\\": "/"})  # what would end a docstring
LOADER = '''"""The eager model of {source}, made as TorchServe makes it."""

import sys
from pathlib import Path

import torch

FILES = Path(__file__).parent / "{folder}"


def load() -> torch.nn.Module:
    """Make the module and load its weights."""
    sys.path.insert(0, str(FILES))  # its files import each other by plain names
    from {module} import {name}

    module = {name}(){weights}
    return module.eval()
'''
WEIGHTS = '\n    module.load_state_dict(torch.load(FILES / {file!r}, map_location="cpu", weights_only=True))'


def model_class(stock: StockArchive) -> str:
    """Return the name of the model file's only class; ArchiveError for another number, which TorchServe refuses too."""
    name = stock.model.model_file or ""
    try:
        tree = ast.parse(stock.members[name])
    except (KeyError, SyntaxError, ValueError) as error:
        raise ArchiveError(f"{name}: it can't be read ({error})", where=str(stock.path)) from error
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    if len(classes) != 1:
        raise ArchiveError(f"{name}: it must have one class, got {classes}", where=str(stock.path))
    return classes[0]


def loader(stock: StockArchive) -> str:
    """Return `model.py`, whose function `load` makes the module."""
    name, file = stock.model.model_file or "", stock.model.serialized_file
    module = name.removesuffix(".py")
    if not module.isidentifier():
        raise ArchiveError(f"{name}: its name isn't a valid name of a module", where=str(stock.path))
    return LOADER.format(
        source=stock.path.name.translate(UNQUOTED),
        folder=OLD,
        module=module,
        name=model_class(stock),
        weights=WEIGHTS.format(file=file) if file else "",
    )
