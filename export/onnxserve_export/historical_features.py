"""Historical features: rows of keys and times become rows of features as the store knew them at that time.

So training can't know more than serving.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from onnxserve.batch.readers.cells import cell
from onnxserve.definition import Definition, FeaturesSection
from onnxserve.errors import DefinitionError, FeatureError
from onnxserve.processes import run_to_end
from onnxserve_handlers.inputs import InputOptions


def join_features(
    pairs: Iterable[tuple[Any, Any]], definition: Definition, scratch: Path
) -> tuple[list[tuple[list[Any], Any]], dict[str, str]]:
    """Return rows with values in the order of `input.columns`, and the type of each key.

    A row's own values win over the store's. A row that the store doesn't know gets defaults where serving would give
    them, and is left out where serving would refuse it. DefinitionError if a row isn't an object.
    """
    spec, rows = definition.features, list(pairs)
    if spec is None:
        raise ValueError("the definition has no features")
    if wrong := next((value for value, _ in rows if not isinstance(value, dict)), None):
        raise DefinitionError(f"a row of keys is an object, not {type(wrong).__name__}", where=definition.rows.location)
    known, types = historical_features([value for value, _ in rows], definition.folder / spec.repo, spec, scratch)
    return list(_completed(rows, known, definition.input, spec)), types


def _completed(
    rows: list[tuple[Any, Any]], known: list[dict[str, Any]], options: InputOptions, spec: FeaturesSection
) -> Iterator[tuple[list[Any], Any]]:
    names, types = options.column_names, options.column_types
    for (own, label), stored in zip(rows, known, strict=True):
        values = [own.get(name, stored.get(name)) for name in names]
        if None in values and spec.missing == "default":
            values = [spec.defaults.get(n) if v is None else v for n, v in zip(names, values, strict=True)]
        cells = [
            float(value) if value is not None and name not in types else cell(types.get(name, "number"), value)
            for name, value in zip(names, values, strict=True)
        ]
        if all(value is not None or name in options.nullable_columns for name, value in zip(names, cells, strict=True)):
            yield cells, label


def historical_features(
    rows: list[dict[str, Any]], repo: Path, spec: FeaturesSection, scratch: Path
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the store's columns of each row, and the types of the keys; FeatureError if the join fails.

    Feast runs in a process of its own: it takes seconds and much memory to import.
    """
    try:
        import pyarrow as pa

        from onnxserve.features import load, open_repo
        from onnxserve.features.join import TYPES
    except ModuleNotFoundError as error:
        raise FeatureError(f"{error.name} is not installed", fix="pip install 'onnxserve[features]'") from error
    scratch.mkdir(parents=True, exist_ok=True)
    load(open_repo(repo, scratch), online=False)
    what, source, target = (scratch / name for name in ("what.json", "rows.arrow", "joined.arrow"))
    fields = {"service": spec.service, "entities": spec.entities, "columns": spec.columns, "timestamp": spec.timestamp}
    what.write_bytes(msgspec.json.encode(fields))
    table = pa.Table.from_pylist([{name: row.get(name) for name in (*spec.entities, spec.timestamp)} for row in rows])
    with pa.OSFile(str(source), "wb") as stream, pa.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table)
    run([str(repo), str(scratch), str(what), str(source), str(target)])
    with pa.OSFile(str(target)) as stream:
        features = pa.ipc.open_file(stream).read_all()
    return features.to_pylist(), msgspec.json.decode(features.schema.metadata[TYPES], type=dict[str, str])


def run(arguments: list[str]) -> None:
    """Run `onnxserve.features.join` as a program; FeatureError with its last lines if it fails."""
    command = [sys.executable, "-m", "onnxserve.features.join", *arguments]
    status, lines = run_to_end(command, folder=Path.cwd(), errors_only=True)
    if status:
        raise FeatureError(f"the join failed: {lines[-1] if lines else status}", fix="\n         ".join(lines[-12:]))
