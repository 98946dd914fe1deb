"""Rows of a file that a feature store completes, as of each row's time."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa

from onnxserve.batch import feature_join
from onnxserve.batch.chunk import Chunk
from onnxserve.batch.feature_join import FeatureJoin
from onnxserve.batch.job import FeatureLookup

LOOKUP = FeatureLookup("repo", "state", "s", ("id",), ("plan", "age"), "time", {"age": 30.0})
STORED = pa.table({"plan": ["pro", None], "age": [None, 41.0]})
KEYS = pa.table({"id": [1, 2], "time": [0, 0]})


def test_rows_that_are_objects_get_texts_defaults_and_null_and_keep_their_own(monkeypatch):
    monkeypatch.setattr(feature_join, "open_repo", lambda *_: SimpleNamespace())
    monkeypatch.setattr(feature_join, "join", lambda *_: STORED)
    joiner = FeatureJoin(LOOKUP, ("plan", "age", "trial"), {"plan": "category", "age": "number", "trial": "boolean"})
    rows = [{"trial": True}, {"trial": False, "age": 50}]
    chunk = Chunk(0, 2, np.arange(2), None, rows, None, {}, str, str, KEYS)
    assert joiner.join(chunk).values == [
        {"plan": "pro", "age": 30.0, "trial": True},
        {"plan": None, "age": 50, "trial": False},
    ]
