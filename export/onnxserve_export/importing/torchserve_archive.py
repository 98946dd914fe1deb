"""An archive of TorchServe, which `onnxserve migrate --convert` makes a model folder of."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec

from onnxserve.definition import Definition, read_definition
from onnxserve.errors import DefinitionError
from onnxserve.migrate import convert, read_stock
from onnxserve_handlers.trust.digests import MANIFEST

from .options import ImportOptions

SUFFIXES = (".mar", ".tar.gz", ".tgz", ".war")
# Options that describe a model, which the archive's handler does by itself.
DESCRIBING = ("kind", "task", "labels", "columns", "tensors", "fields")


def is_torchserve(path: Path) -> bool:
    """Return whether a file or folder is an archive of torch-model-archiver, by its name or its manifest."""
    return (path / MANIFEST).is_file() if path.is_dir() else path.name.lower().endswith(SUFFIXES)


def check_archive_options(options: ImportOptions) -> None:
    """Raise DefinitionError for options that say what the archive says already."""
    names = {"tensors": "tensor", "fields": "set"}
    if given := [f"--{names.get(name, name)}" for name in DESCRIBING if getattr(options, name)]:
        raise DefinitionError(
            f"{', '.join(given)}: the archive of TorchServe says it already",
            fix="import it without, with --no-export, and change model.toml before you export it",
        )


def import_archive(path: Path, name: str, models: Path, options: ImportOptions, rows: str) -> Definition:
    """Write `models/NAME`, whole or not at all; ArchiveError lists by name what can't be converted.

    The folder must not exist. `rows` is how the definition names examples for a proof. DefinitionError for an archive
    whose model is code that isn't trusted.
    """
    stock = read_stock(path)
    if stock.model.model_file and not stock.handler_file and not options.trust:
        raise DefinitionError(
            f"{stock.model.model_file} of the archive is code, which an export runs",
            where=str(path),
            fix="--trust, if you know whoever wrote it",
        )
    model = msgspec.structs.replace(stock.model, model_name=name)
    named = replace(stock, manifest=msgspec.structs.replace(stock.manifest, model=model))
    try:
        convert(named, models, options.row, rows, options.version)
        return read_definition(models / name)
    except BaseException:
        shutil.rmtree(models / name, ignore_errors=True)
        raise
