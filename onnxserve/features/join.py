"""Features as they were at each row's time: what a model may have known then, and nothing later.

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

from .repo import QUIET, Repo

ORDER = "__onnxserve_row"
TYPES = b"key_types"  # of the table's metadata: the type of each key, as JSON
KEY_TYPES = {"INT32": "int32", "INT64": "int64", "STRING": "string"}  # of Feast's that a request can bring
TIME = "event_timestamp"  # the name that Feast wants


@dataclass(frozen=True)
class Join:
    """What is asked of the store: a service, its keys, and the features that a model takes."""

    service: str
    entities: tuple[str, ...]
    columns: tuple[str, ...]
    timestamp: str = TIME


def join(repo: Repo, what: Join, rows: pa.Table) -> pa.Table:
    """`what.columns` for each of the rows, in their order, null where nothing was known. Rows bring keys and a time.

    The table's metadata has `key_types`.
    """
    if missing := [name for name in (*what.entities, what.timestamp) if name not in rows.column_names]:
        raise FeatureError(f"missing columns: {', '.join(missing)}", fix="rows bring keys of entities and a time")
    store = opened(str(repo.config))
    entities = rows.select([*what.entities, what.timestamp]).to_pandas()
    entities = entities.rename(columns={what.timestamp: TIME})
    entities[ORDER] = range(len(entities))
    try:
        service = store.get_feature_service(what.service)
        found = store.get_historical_features(entity_df=entities, features=service).to_df()
    except Exception as error:
        # Feast has no base class of its own, and its stores raise whatever their libraries do.
        raise FeatureError(f"the join failed: {error}", where=f"service {what.service}") from error
    if absent := [name for name in what.columns if name not in found]:
        raise FeatureError(f"service {what.service} has no {', '.join(absent)}")
    found = found.set_index(ORDER)
    if not found.index.is_unique:
        raise FeatureError("a row came back more than once", where=f"service {what.service}")
    found = found.reindex(range(rows.num_rows))  # Feast leaves out rows of entities that it knew only later
    table = pa.table({name: pa.array(found[name], pa.float64(), from_pandas=True) for name in what.columns})
    return table.replace_schema_metadata({TYPES: json.dumps(key_types(store, what.entities))})


def key_types(store: Any, keys: tuple[str, ...]) -> dict[str, str]:
    """What the repository's entities say of each key; a key of another type can't be sent in JSON."""
    types = {entity.join_key: str(entity.value_type.name) for entity in store.list_entities()}
    if strange := {key: types.get(key) for key in keys if types.get(key) not in KEY_TYPES}:
        fix = f"give its entity a value_type of {', '.join(KEY_TYPES)}"
        raise FeatureError(f"keys of a type that requests can't bring: {strange}", fix=fix)
    return {key: KEY_TYPES[types[key]] for key in keys}


@cache
def opened(config: str) -> Any:
    """Feast's own object; importing Feast takes seconds, so it is kept."""
    os.environ.update(QUIET)
    try:
        from feast import FeatureStore
    except ModuleNotFoundError as error:
        raise FeatureError("feast is not installed", fix="pip install 'onnxserve[features]'") from error
    return FeatureStore(repo_path=str(Path(config).parent))


def main(arguments: list[str]) -> None:
    """`python -m onnxserve.features.join FOLDER STATE WHAT.json ROWS.arrow OUT.arrow`: in a process of its own."""
    import msgspec

    from .repo import open_repo

    folder, state, what, source, target = arguments
    asked = msgspec.convert(msgspec.json.decode(Path(what).read_bytes()), Join)
    with pa.OSFile(source) as stream:
        rows = pa.ipc.open_file(stream).read_all()
    found = join(open_repo(Path(folder), Path(state)), asked, rows)
    with pa.OSFile(target, "wb") as stream, pa.ipc.new_file(stream, found.schema) as writer:
        writer.write_table(found)


if __name__ == "__main__":
    main(sys.argv[1:])
