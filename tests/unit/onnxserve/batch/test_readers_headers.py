"""Headers of CSV: the names of the columns, and what separates them."""

from __future__ import annotations

import pytest

from onnxserve.batch.part import Selection
from onnxserve.batch.plan import select_columns
from onnxserve.batch.readers import columns
from onnxserve.batch.sources import find_sources
from onnxserve.errors import BatchError
from tests.unit.onnxserve.batch.test_readers import NUMBERS, chunks, table


@pytest.mark.parametrize("content", ["x,y\n1,2\n".encode("utf-16"), b"x,y\r1,2\r"])
def test_a_header_in_another_coding_or_with_other_line_ends_says_what_is_read(tmp_path, content):
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    sources = find_sources([str(path)]).files
    with pytest.raises(BatchError) as refused:
        select_columns(sources, ["x", "y"], {}, (), ",", 10)
    assert "UTF-8" in refused.value.fix


def test_a_header_that_is_missing_or_says_a_name_twice_is_no_job(tmp_path):
    for text, reason in (
        ("", "no header"),
        ("a,a\n1,2\n", "two columns have the same name"),
        ('"a\n1\n', "can't be read"),
    ):
        path = tmp_path / "rows.csv"
        path.write_text(text)
        with pytest.raises(BatchError, match=reason):
            list(chunks(find_sources([str(path)]).files[0], NUMBERS))


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_header_tells_what_separates_fields_whatever_is_in_quotes(tmp_path, mark):
    path = tmp_path / "rows.csv"
    path.write_text(f'"id"{mark}"x"{mark}"y, z; t"\na{mark}1{mark}2\n')
    [source] = find_sources([str(path)]).files
    assert list(columns(source, ",") or ()) == ["id", "x", "y, z; t"]
    selection = Selection({"x": "x", "y": "y, z; t"}, numbers=True, keep=("id",))
    assert table(path, selection) == ([(0, 1, 2, "a")], [])


def test_a_lone_column_whose_name_is_in_quotes_has_semicolons_in_its_values(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('"note; more"\nhello; world\n"a, b"\n')
    [source] = find_sources([str(path)]).files
    [chunk] = chunks(source, Selection({"value": "note; more"}, numbers=False))
    assert (chunk.values, chunk.faults) == (["hello; world", "a, b"], {})
