"""The plan of a job: its columns and its parts; a resumed job keeps its parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import msgspec

from onnxserve.errors import BatchError

from .job import PLAN, FeatureLookup, Job, Plan, differences
from .output import STATE, Folder
from .output_rows import OURS
from .part import Part, Selection, Source
from .readers import columns, cut
from .readers.cells import fits

COLUMNAR_PART, TEXT_PART, PART = 262_144, 50_000, 1024  # rows: some seconds of work
NO_TYPES: Mapping[str, str] = MappingProxyType({})
SINGLE_KINDS = ("text", "bytes", "any")  # of a column that holds a whole row
SINGLE = (
    "text",
    "image",
    "sound",
    "audio",
    "b64",
    "data",
    "content",
    "bytes",
)  # names that a column of one value a row may have


def plan_of(job: Job, out: Folder, *, restart: bool = False) -> Plan:
    """Return the plan in `out` if it is of this job, else write a new one there; BatchError for another job's."""
    kept = out.read(f"{STATE}/{PLAN}")
    if kept is not None and restart:
        out.clear()
    elif kept is not None:
        plan = msgspec.json.decode(kept, type=Plan)
        if changed := differences(job, plan.job):
            raise BatchError(
                "the output belongs to another job: " + "; ".join(changed),
                where=out.url,
                fix="choose another output, or --restart to score everything again",
            )
        return plan
    elif set(out.names("")) - {STATE}:
        raise BatchError("the output has files that no job wrote", where=out.url, fix="choose an empty folder")
    plan = Plan(job, tuple(parts_of(job)))
    out.write(f"{STATE}/{PLAN}", msgspec.json.encode(plan))
    return plan


def parts_of(job: Job) -> Iterator[Part]:
    """Cut every source, until the limit; without rows yield one empty part, whose file has the columns."""
    text = job.sources[0].kind in ("csv", "jsonl")
    rows = job.part_rows or ((TEXT_PART if text else COLUMNAR_PART) if job.selection.numbers else PART)
    left, number = job.limit or -1, 0
    for source in job.sources:
        for piece in cut(source, job.selection, rows):
            if left == 0:
                return
            count = piece.rows if left < 0 else min(piece.rows, left)
            left -= count if left > 0 else 0
            paths = source.paths[piece.start : piece.start + count]
            yield Part(
                number,
                source.url,
                source.kind,
                piece.first,
                count,
                piece.start,
                piece.stop,
                piece.line,
                piece.skip,
                paths,
            )
            number += 1
    if not number:
        first = job.sources[0]
        yield Part(0, first.url, first.kind, 0, 0, 0, 0)


def select_columns(  # noqa: PLR0913 - what a person says about columns
    sources: Sequence[Source],
    model_columns: Sequence[str],
    named: dict[str, str],
    keep: Sequence[str],
    delimiter: str,
    chunk: int,
    lookup: FeatureLookup | None = None,
    types: Mapping[str, str] = NO_TYPES,
    fields: Sequence[str] = (),
) -> Selection:
    """Match the model's columns, or the fields of its rows, with those of every source; BatchError names missing ones.

    `types` are those of a table's columns where not all are numbers.
    """
    has = [(source, columns(source, delimiter)) for source in sources]
    first = next((has_columns for _, has_columns in has if has_columns is not None), None)
    keys: dict[str, str] = {}
    is_table, numbers = bool(model_columns), bool(model_columns) and not types
    if lookup:
        if sources[0].kind not in ("parquet", "arrow"):
            raise BatchError("keys and times need types", where=sources[0].url, fix="convert the rows to Parquet")
        keys = {name: named.get(name, name) for name in (*lookup.entities, lookup.timestamp)}
        own = {name: column for name, column in named.items() if name not in keys}
        # If the file has the feature too, the store's value is used, unless --map names the column.
        model_columns, named = [name for name in model_columns if name not in lookup.columns or name in own], own
    if is_table or fields:
        own_names = model_columns if is_table else fields
        if unknown := sorted(set(named) - set(own_names)):
            raise BatchError(f"the model has no columns {unknown}", where="--map", fix=f"it has {', '.join(own_names)}")
        chosen = {name: named.get(name, name) for name in own_names}
    else:
        chosen = {"value": next(iter(named.values()), "") or _only_column(first)}
    every = list(keep)
    if every == ["all"]:
        if first is None:
            raise BatchError(
                "JSONL has no fixed columns, so `all` can't be kept", where="--keep", fix="name the columns"
            )
        every = [name for name in first if name not in chosen.values()]
    if clash := sorted(set(every) & set(OURS)):
        raise BatchError(
            f"columns {clash} have names that the output uses itself", where="--keep", fix="rename them in the source"
        )
    for source, source_columns in has:
        if source_columns is not None:
            kinds = types or dict.fromkeys(model_columns, "number")
            _check_columns(source, source_columns, chosen, [*every, *keys.values()], kinds)
    row_types = {name: types[name] for name in chosen} if types else {}
    return Selection(chosen, numbers, tuple(every), delimiter, chunk, keys, row_types)


def _only_column(source_columns: dict[str, str] | None) -> str:
    """Return the column that holds the text or the image; BatchError if several may."""
    if source_columns is None:
        return SINGLE[0]
    fitting = [name for name, kind in source_columns.items() if kind in ("text", "bytes", "any")]
    candidates = [name for name in SINGLE if name in fitting] or (fitting if len(fitting) == 1 else [])
    if not candidates:
        raise BatchError(
            f"several columns may be the model's input: {', '.join(source_columns)}", fix="name it: --map text=COLUMN"
        )
    return candidates[0]


def _check_columns(
    source: Source,
    source_columns: dict[str, str],
    chosen: dict[str, str],
    keep: list[str],
    types: Mapping[str, str],
) -> None:
    """Raise BatchError for a missing column, or one of a type that the model can't take; a table has `types`."""
    if missing := [name for name in [*chosen.values(), *keep] if name not in source_columns]:
        fix = f"it has {', '.join(list(source_columns)[:30])}; --map MODEL'S=COLUMN says which is which"
        raise BatchError(f"missing columns: {', '.join(missing[:10])}", where=source.url, fix=fix)
    wrong = [
        f"{column} is {source_columns[column]}"
        for name, column in chosen.items()
        if not (fits(types[name], source_columns[column]) if types else source_columns[column] in SINGLE_KINDS)
    ]
    if wrong:
        are_numbers = set(types.values()) == {"number"}
        what = (
            "numbers are expected"
            if are_numbers
            else "other types are expected"
            if types
            else "text or bytes are expected"
        )
        raise BatchError(f"{what}, {'; '.join(wrong[:5])}", where=source.url, fix="convert the columns in the source")
