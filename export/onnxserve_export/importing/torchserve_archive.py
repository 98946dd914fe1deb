"""An archive of TorchServe, which `onnxserve migrate --convert` makes a model folder of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from onnxserve.migrate import convert, read_stock
from onnxserve_handlers.trust.digests import MANIFEST

SUFFIXES = (".mar", ".tar.gz", ".tgz", ".war")


def is_torchserve(path: Path) -> bool:
    """Return whether a file or folder is an archive of torch-model-archiver, by its name or its manifest."""
    return (path / MANIFEST).is_file() if path.is_dir() else path.name.lower().endswith(SUFFIXES)


def import_archive(path: Path, name: str, models: Path, row: Path | None) -> Path:
    """Write `models/NAME`; ArchiveError lists by name what can't be converted. `row` is an example of a request."""
    stock = read_stock(path)
    model = msgspec.structs.replace(stock.model, model_name=name)
    named = replace(stock, manifest=msgspec.structs.replace(stock.manifest, model=model))
    return convert(named, models, row).folder
