"""Files of Arrow and Parquet that are no table of rows are refused by name, before anything is scored."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onnxserve.batch.part import Selection, Source
from onnxserve.batch.readers import columns, cut
from onnxserve.batch.sources import find_sources
from onnxserve.errors import BatchError

NUMBERS = Selection({"x": "x"}, numbers=True)


def written(path: Path, names: list[str]) -> Source:
    table = pa.Table.from_arrays([pa.array([1.0, 2.0])] * len(names), names)
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as stream, pa.ipc.new_stream(stream, table.schema) as writer:
            writer.write_table(table)
    [source] = find_sources([str(path)]).files
    return source


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_file_with_two_columns_of_one_name_is_refused(tmp_path, suffix):
    source = written(tmp_path / f"rows.{suffix}", ["x", "y", "x"])
    with pytest.raises(BatchError, match="two columns have the same name, 'x'") as refusal:
        columns(source, ",")
    assert refusal.value.where == source.url


def test_a_stream_of_arrow_that_is_cut_off_is_refused_by_name(tmp_path):
    path = tmp_path / "rows.arrow"
    source = written(path, ["x"])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BatchError, match="not a readable Arrow file") as refusal:
        list(cut(source, NUMBERS, 5))
    assert refusal.value.where == source.url
