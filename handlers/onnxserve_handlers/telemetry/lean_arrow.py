"""PyArrow without pandas, which it imports with its first array if pandas is installed; that takes a second or two."""

from __future__ import annotations

import sys

import pyarrow as pa


class NoPandas:
    """An importer that finds no pandas."""

    def find_spec(self, name: str, *_: object) -> None:
        """Raise ModuleNotFoundError for pandas; leave all other modules to the next importer."""
        if name == "pandas":
            raise ModuleNotFoundError("pandas is left out", name=name)


def leave_pandas_out() -> None:
    """Let PyArrow find no pandas now, so that arrays never make it look again; conversions to pandas still do."""
    importer = NoPandas()
    sys.meta_path.insert(0, importer)
    try:
        pa.array([0]).to_numpy()  # Python's half of PyArrow looks in the first call, the half in C++ in the second
    finally:
        sys.meta_path.remove(importer)
