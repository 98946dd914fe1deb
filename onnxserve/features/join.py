"""Offline join: features as they were at each row's time, so that a model sees nothing later.

Feast's point-in-time join, https://docs.feast.dev/getting-started/concepts/point-in-time-joins.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from onnxserve.errors import FeatureError

from .program import lean_imports
from .repo import QUIET, Repo

ORDER = "__onnxserve_row"
TYPES = b"key_types"  # in the table's metadata: the type of each key, as JSON
KEY_TYPES = {"INT32": "int32", "INT64": "int64", "STRING": "string"}  # by Feast's types, those that a request can carry
TIME = "event_timestamp"  # the name that Feast requires


@dataclass(frozen=True)
class Join:
    """A query of the store: a feature service, its entity keys, the features to return, and the time column."""

    service: str
    entities: tuple[str, ...]
    columns: tuple[str, ...]
    timestamp: str = TIME


def join(repo: Repo, query: Join, rows: pa.Table) -> pa.Table:
    """Return `query.columns` for each row, in order, numbers as float64; null where the store knew no value.

    `rows` have the columns `query.entities` and `query.timestamp`. The result's metadata has `key_types`. FeatureError
    for missing columns and for failures of Feast.
    """
    if missing := [name for name in (*query.entities, query.timestamp) if name not in rows.column_names]:
        raise FeatureError(f"missing columns: {', '.join(missing)}", fix="give each row the entity keys and a time")
    store = open_store(str(repo.config))
    entities = rows.select([*query.entities, query.timestamp]).to_pandas()
    entities = entities.rename(columns={query.timestamp: TIME})
    entities[ORDER] = range(len(entities))
    try:
        service = store.get_feature_service(query.service)
        joined = store.get_historical_features(entity_df=entities, features=service).to_df()
    except Exception as error:
        # Feast has no base class for errors, and its stores raise those of their libraries.
        raise FeatureError(f"the join failed: {error}", where=f"service {query.service}") from error
    if absent := [name for name in query.columns if name not in joined]:
        raise FeatureError(f"service {query.service} has no {', '.join(absent)}")
    joined = joined.set_index(ORDER)
    if not joined.index.is_unique:
        raise FeatureError("Feast returned a row more than once", where=f"service {query.service}")
    joined = joined.reindex(range(rows.num_rows))  # Feast omits rows whose entities came only later
    table = pa.table({name: column_array(joined[name]) for name in query.columns})
    return table.replace_schema_metadata({TYPES: json.dumps(key_types(store, query.entities))})


def column_array(values: Any) -> pa.Array:
    """Return a feature's values: numbers as float64, texts and times as they are."""
    try:
        return pa.array(values, pa.float64(), from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return pa.array(values, from_pandas=True)


def key_types(store: Any, keys: tuple[str, ...]) -> dict[str, str]:
    """Return the type of each entity key; FeatureError for a type that JSON requests can't carry."""
    types = {entity.join_key: str(entity.value_type.name) for entity in store.list_entities()}
    if strange := {key: types.get(key) for key in keys if types.get(key) not in KEY_TYPES}:
        fix = f"give its entity a value_type of {', '.join(KEY_TYPES)}"
        raise FeatureError(f"requests can't carry keys of these types: {strange}", fix=fix)
    return {key: KEY_TYPES[types[key]] for key in keys}


@cache
def open_store(config: str) -> Any:
    """Open Feast's store and keep it, since importing Feast takes seconds; FeatureError if it isn't installed."""
    os.environ.update(QUIET)
    try:
        with lean_imports():
            from feast import FeatureStore
    except ModuleNotFoundError as error:
        raise FeatureError("feast is not installed", fix="pip install 'onnxserve[features]'") from error
    return FeatureStore(repo_path=str(Path(config).parent))


def main(arguments: list[str]) -> None:
    """Run `python -m onnxserve.features.join FOLDER STATE QUERY.json ROWS.arrow OUT.arrow` in a process of its own."""
    import msgspec

    from .repo import open_repo

    folder, state, query_file, source, target = arguments
    query = msgspec.convert(msgspec.json.decode(Path(query_file).read_bytes()), Join)
    with pa.OSFile(source) as stream:
        rows = pa.ipc.open_file(stream).read_all()
    table = join(open_repo(Path(folder), Path(state)), query, rows)
    with pa.OSFile(target, "wb") as stream, pa.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table)


if __name__ == "__main__":
    main(sys.argv[1:])
