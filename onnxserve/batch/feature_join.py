"""The join of chunks with a feature store, as of each row's time; a row's own columns stay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from onnxserve.features import Join, join, open_repo

from .chunk import Chunk
from .job import FeatureLookup
from .readers.cells import cell


class FeatureJoin:
    """A worker's feature store."""

    def __init__(self, lookup: FeatureLookup, columns: tuple[str, ...], types: Mapping[str, str]) -> None:
        self._lookup, self._columns, self._types = lookup, columns, types
        self._repo = open_repo(Path(lookup.repo), Path(lookup.state))
        self._what = Join(lookup.service, lookup.entities, lookup.columns, lookup.timestamp)

    def join(self, chunk: Chunk) -> Chunk:
        """Return the chunk with every column of the model; NaN where the store has no value and there is no default."""
        if chunk.keys is None:
            raise ValueError("a chunk without keys")
        if chunk.columns is None:
            return self._join_rows(chunk) if chunk.size else chunk
        own = chunk.columns
        if not chunk.size:
            return chunk._replace(columns={name: own.get(name, np.empty(0)) for name in self._columns})
        features = join(self._repo, self._what, chunk.keys)
        columns = {}
        for name in self._columns:
            if name in own:
                columns[name] = own[name]
                continue
            values = features[name].to_numpy(zero_copy_only=False)
            default = self._lookup.defaults.get(name, np.nan)
            columns[name] = np.where(np.isnan(values), default, values)
        return chunk._replace(columns=columns)

    def _join_rows(self, chunk: Chunk) -> Chunk:
        """Complete rows that are objects; null where the store has no value and there is no default."""
        features = join(self._repo, self._what, chunk.keys).to_pylist()
        stored = [
            {
                name: self._lookup.defaults.get(name) if value is None else cell(self._types.get(name, "number"), value)
                for name, value in row.items()
            }
            for row in features
        ]
        return chunk._replace(
            values=[{**stored[place], **row} for place, row in zip(chunk.places, chunk.values or (), strict=True)]
        )
