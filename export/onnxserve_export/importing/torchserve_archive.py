"""An archive of TorchServe: its weights, and what its handler does before and after the model.

Two of TorchServe's own handlers say that by themselves. Of any other one the user says it, and the handler isn't used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from onnxserve.errors import ArchiveError, DefinitionError
from onnxserve.migrate import StockArchive, read_stock
from onnxserve.migrate.convert import GUIDE, kind_of, model_files, next_version, source_name, source_obstacles
from onnxserve.migrate.handlers import NAMES, Kind
from onnxserve_export.faults import FaultList
from onnxserve_handlers.trust.digests import MANIFEST

from .options import ImportOptions
from .outline import Outline, read_implied

SUFFIXES = (".mar", ".tar.gz", ".tgz", ".war")
DESCRIBING = ("input.kind", "input.columns", "input.tensors")  # answers that say what a row is
TENSOR_HANDLER = "base_handler"


def is_torchserve(path: Path) -> bool:
    """Return whether a file or folder is an archive of torch-model-archiver, by its name or its manifest."""
    return (path / MANIFEST).is_file() if path.is_dir() else path.name.lower().endswith(SUFFIXES)


def read_archive(outline: Outline, path: Path, options: ImportOptions, faults: FaultList) -> Mapping[str, bytes]:
    """Read what an archive says; return the files of the model's folder by name.

    ArchiveError lists by name what can't be converted. A model that is code and isn't trusted is added to `faults`.
    """
    stock = read_stock(path)
    if stock.model.model_file and not options.trust and not source_obstacles(stock):
        what = f"{stock.model.model_file} of the archive is code, which an export runs"
        faults.add(DefinitionError(what, where=str(path), fix="--trust, if you know whoever wrote it"))
    if names := outline.get("output.labels"):
        stock = with_labels(stock, names)
    described = any(outline.get(field) for field in DESCRIBING)
    kind, obstacles = _kind(stock, outline, options)
    obstacles = [] if kind is None and described else obstacles
    if obstacles := obstacles + source_obstacles(stock):
        fix = (
            f"onnxserve migrate {quote(str(path))} serves it as it is, unproven; or say what rows and predictions are "
            f"with --kind and --task, and the model is taken alone; {GUIDE}"
        )
        if any(NAMES in obstacle for obstacle in obstacles):
            fix = "give --labels A,B,… in the order of the model's outputs"
        faults.add(ArchiveError("it can't be converted: " + "; ".join(obstacles), where=str(path), fix=fix))
        faults.check()
    outline.add("version", next_version(stock.version), f"the archive's is {stock.version}")
    outline.add("source", source_name(stock), "")
    read_implied(outline)
    if kind is None:
        return model_files(stock)
    _read_kind(outline, kind, f"TorchServe's {stock.model.handler}")
    if not outline.get("rows.location"):
        outline.add("quantise.variants", ["fp32"], "without rows; with some, take this line out, and int8 may compete")
    return {**model_files(stock), "golden.jsonl": kind.golden}


def with_labels(stock: StockArchive, names: Sequence[str]) -> StockArchive:
    """Return an archive whose labels are the user's, in the order of the outputs, in place of its own."""
    own = msgspec.json.encode({str(index): name for index, name in enumerate(names)})
    return replace(stock, members={**stock.members, NAMES: own})


def _kind(stock: StockArchive, outline: Outline, options: ImportOptions) -> tuple[Kind | None, list[str]]:
    """Return what the archive's handler does; its tensor may be described in place of an example."""
    tensors = outline.get("input.tensors", [])
    if options.row or stock.model.handler != TENSOR_HANDLER or len(tensors) != 1:
        return kind_of(stock, options.row)
    with TemporaryDirectory() as scratch:
        row = Path(scratch) / "row.json"
        row.write_text(json.dumps(_zeros(tensors[0]["shape"], tensors[0]["dtype"])))
        return kind_of(stock, row)


def _zeros(shape: list[int | str], dtype: str) -> Any:
    """Return nested lists of zeros; a free axis has one element."""
    if not shape:
        return 0.0 if dtype.startswith("float") else 0
    inner = _zeros(shape[1:], dtype)
    return [inner] * (shape[0] if isinstance(shape[0], int) else 1)


def _read_kind(outline: Outline, kind: Kind, origin: str) -> None:
    """Add the fields of rows and predictions, unless the user says that these are of another kind or task."""
    for section, name, fields in (("input", "kind", kind.input), ("output", "task", kind.output)):
        outline.add(f"{section}.{name}", fields[name], origin)
        if outline.get(f"{section}.{name}") == fields[name]:
            for field, value in fields.items():
                outline.add(f"{section}.{field}", value, origin)
