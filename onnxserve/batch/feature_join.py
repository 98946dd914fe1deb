"""The join of chunks with a feature store, as of each row's time; a row's own columns stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from onnxserve.features import Join, join, open_repo

from .chunk import Chunk
from .job import FeatureLookup


class FeatureJoin:
    """A worker's feature store."""

    def __init__(self, lookup: FeatureLookup, columns: tuple[str, ...]) -> None:
        self._lookup, self._columns = lookup, columns
        self._repo = open_repo(Path(lookup.repo), Path(lookup.state))
        self._what = Join(lookup.service, lookup.entities, lookup.columns, lookup.timestamp)

    def join(self, chunk: Chunk) -> Chunk:
        """Return the chunk with every column of the model; NaN where the store has no value and there is no default."""
        if chunk.keys is None or chunk.columns is None:
            raise ValueError("a chunk without keys")
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
