"""Rows of a part to their partitions: none is lost, and no value names a folder elsewhere."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onnxserve.batch.output import Folder, Writer
from onnxserve.errors import BatchError


def parted(out: Path, column: pa.Array) -> dict[str, list[int]]:
    """Folders by the value that they stand for, and the rows in each."""
    writer = Writer(Folder(str(out)), 0, ("key",), {})
    writer.write(pa.table({"key": column, "row": pa.array(range(len(column)))}))
    files = [file.name for file in writer.close()]
    return {unquote(name.rpartition("/")[0]): pq.ParquetFile(out / name).read()["row"].to_pylist() for name in files}


def test_a_value_with_slashes_stays_a_folder_of_the_output(tmp_path):
    out = tmp_path / "deep" / "out"
    assert parted(out, pa.array(["a", "../../b", "/c"])) == {"key=a": [0], "key=../../b": [1], "key=/c": [2]}
    written = [path.relative_to(tmp_path).parts for path in tmp_path.rglob("*.parquet")]
    assert {parts[:2] for parts in written} == {("deep", "out")}
    assert {len(parts) for parts in written} == {4}


def test_a_value_that_equals_nothing_keeps_its_rows(tmp_path):
    nan = float("nan")
    assert parted(tmp_path, pa.array([1.5, nan, None, nan])) == {
        "key=1.5": [0],
        "key=nan": [1, 3],
        "key=__HIVE_DEFAULT_PARTITION__": [2],
    }


def test_half_precision_numbers_part_rows(tmp_path):
    assert parted(tmp_path, pa.array([1.5, 2.0, 1.5], pa.float16())) == {"key=1.5": [0, 2], "key=2.0": [1]}


def test_a_type_without_single_values_is_refused_by_name(tmp_path):
    with pytest.raises(BatchError, match="key is list"):
        parted(tmp_path, pa.array([[1], [2]]))
