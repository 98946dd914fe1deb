"""The request for a job, as a person types it, and the job that it becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from onnxserve.archive import column_types, nullable_columns, read_signature, row_fields, summarise, takes_arrays
from onnxserve.errors import BatchError
from onnxserve.scratch import Scratch

from .job import FeatureLookup, Job, Model, Remote, Shape
from .part import ALBUMS, Kind, Source
from .plan import select_columns
from .sources import find_sources
from .worker import local_archive

CHUNK, CHUNK_SINGLE, CHUNK_FILES = 65_536, 1024, 32  # rows in memory at a time
FILE_ROWS = {"images": "image", "sounds": "audio"}  # the input kind whose rows such files are


class JobRequest(msgspec.Struct, frozen=True):
    """The options of `onnxserve batch` that decide a row of the output."""

    archive: str
    inputs: tuple[str, ...]
    kind: Kind | None = None
    columns: dict[str, str] = {}
    keep: tuple[str, ...] = ()
    delimiter: str = ","
    shape: Shape = Shape()
    remote: Remote | None = None
    limit: int = 0
    batch: int = 0
    part_rows: int = 0
    features: str = ""  # a Feast repository
    state: str = ".onnxserve"
    redact: bool = False


def job_of(request: JobRequest) -> Job:
    """Make the job of a request; BatchError if archive, sources and options don't fit together."""
    with Scratch() as folder, local_archive(request.archive, folder) as path:
        archive = summarise(path)
        signature = read_signature(path)
    local = request.archive if "://" in request.archive else str(Path(request.archive).resolve())
    types = column_types(signature)
    row_types = {} if takes_arrays(signature) else types
    model = Model(
        local,
        archive.sha256,
        archive.name,
        archive.version,
        tuple(signature["output"]["labels"]),
        tuple(types),
        signature["output"].get("activation", "auto"),
        row_types,
    )
    lookup = feature_lookup(request, signature)
    sources, skipped = find_sources(request.inputs, request.kind)
    _check_files(request, signature["input"], sources[0])
    chunk = CHUNK if takes_arrays(signature) else CHUNK_FILES if sources[0].kind in ALBUMS else CHUNK_SINGLE
    keep = request.keep or request.shape.partition
    fields, names, columns = row_fields(signature), tuple(types), request.columns
    if not columns and not names and not fields and all(source.kind == "jsonl" for source in sources):
        columns = {"value": signature["input"].get("kind") or "text"}  # named like the row: no header says it
    selection = select_columns(sources, names, columns, keep, request.delimiter, chunk, lookup, row_types, fields)
    selection = msgspec.structs.replace(selection, nullable=nullable_columns(signature))
    _check_consistency(request, model, selection.keep)
    rest = (
        request.shape,
        request.limit,
        request.batch,
        request.part_rows,
        request.remote,
        lookup,
        skipped,
        request.redact,
    )
    return Job(model, tuple(sources), selection, *rest)


def feature_lookup(request: JobRequest, signature: dict[str, Any]) -> FeatureLookup | None:
    """Return the store that completes the archive's rows; None if the files have every column.

    BatchError if the model takes no features, or a server is asked, which would join those of now.
    """
    spec = signature.get("features")
    if not request.features:
        return None
    if not spec:
        raise BatchError("this model takes no features from a store", where="--features")
    if request.remote:
        raise BatchError(
            "a server joins features of now, not as of each row's time",
            where="--endpoint",
            fix="use either --features or --endpoint",
        )
    return FeatureLookup(
        repo=str(Path(request.features).resolve()),
        state=str(Path(request.state).resolve()),
        service=spec["service"],
        entities=tuple(spec["entities"]),
        columns=tuple(spec["columns"]),
        timestamp=spec["timestamp"],
        defaults=spec["defaults"] if spec["missing"] == "default" else {},
    )


def _check_files(request: JobRequest, rows: dict[str, Any], source: Source) -> None:
    """Raise BatchError for images or sounds that a model of another input kind gets.

    A handler may have no kind, and what `--format` calls images may be files of text.
    """
    needed, kind = FILE_ROWS.get(source.kind), rows.get("kind", "")
    if needed is None or kind in (needed, "text", ""):
        return
    what, fix = f"of kind {kind}", "score Parquet, CSV or JSON lines with the model's columns"
    if kind == "tensors":
        arrays = ", ".join(f"{each['name']}: {each['dtype']} {[*each['shape']]}" for each in rows["tensors"])
        line = ", ".join(f'"{each["name"]}": [...]' for each in rows["tensors"])
        what = f"arrays ({arrays})"
        fix = (
            f"prepare each file as for the model's training and write lines {{{line}}} to a .jsonl file; "
            f'or export the model with [input] kind = "{needed}", which prepares files itself'
        )
    elif kind in FILE_ROWS.values():
        fix = f"name a folder of {next(files for files, each in FILE_ROWS.items() if each == kind)}"
    raise BatchError(
        f"the sources are {source.url}, but the rows of this model are {what}", where=" ".join(request.inputs), fix=fix
    )


def _check_consistency(request: JobRequest, model: Model, kept: tuple[str, ...]) -> None:
    shape = request.shape
    if missing := sorted(set(shape.partition) - set(kept)):
        raise BatchError(
            f"columns that aren't kept: {', '.join(missing)}", where="--partition-by", fix="name them in --keep too"
        )
    if shape.scores and not model.labels:
        raise BatchError("the model has no labels", where="--scores", fix="use --outputs")
    if request.remote and (shape.scores or shape.outputs):
        raise BatchError(
            "a server answers with label and score only", where="--endpoint", fix="leave --scores and --outputs out"
        )
