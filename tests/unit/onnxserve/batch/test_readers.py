"""Sources to rows: every row once, whatever its neighbours are."""

from __future__ import annotations

import csv
import gzip
import io
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxserve.batch.part import Part, Selection, Source
from onnxserve.batch.plan import select_columns
from onnxserve.batch.readers import cut, lines, read
from onnxserve.batch.readers.table_records import records
from onnxserve.batch.sources import find_sources
from onnxserve.errors import BatchError

NUMBERS = Selection({"x": "x", "y": "y"}, numbers=True, keep=("id",), chunk=3)
TEXT = Selection({"value": "text"}, numbers=False, chunk=3)


def chunks(source: Source, selection: Selection, rows: int = 1_000_000):
    for number, piece in enumerate(cut(source, selection, rows)):
        paths = source.paths[piece.start : piece.start + piece.rows]
        part = Part(
            number,
            source.url,
            source.kind,
            piece.first,
            piece.rows,
            piece.start,
            piece.stop,
            piece.line,
            piece.skip,
            paths,
        )
        yield from read(part, selection)


def table(path, selection: Selection = NUMBERS, rows: int = 1_000_000):
    """(row number, x, y, id) of the readable rows, and (position, type, reason) of the others."""
    [source] = find_sources([str(path)]).files
    good, bad = [], []
    for chunk in chunks(source, selection, rows):
        columns = chunk.columns or {"x": [v[0] for v in chunk.values or ()], "y": [v[1] for v in chunk.values or ()]}
        assert chunk.kept is not None
        ids = chunk.kept.column("id").to_pylist()
        for at, place in enumerate(chunk.places):
            good.append((chunk.first + int(place), columns["x"][at], columns["y"][at], ids[place]))
        bad += [(chunk.position(place), fault.type, fault.reason) for place, fault in chunk.faults.items()]
    return good, bad


def test_numbers_of_a_csv_that_are_none_are_bad_rows_and_no_nulls(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('id,x,y\na,1,2\nb,oops,2\n\nc,,4\nd,5\n"e,\n1",6,7\nf,8,9\n')
    good, bad = table(path)
    assert good == [(0, 1, 2, "a"), (4, 6, 7, "e,\n1"), (5, 8, 9, "f")]
    url = path.as_uri()
    assert bad == [
        (f"{url} line 3", "invalid_row", "expected a number, got 'oops'"),
        (f"{url} line 5", "invalid_row", "the number is missing"),
        (f"{url} line 6", "invalid_row", "2 fields, the header has 3"),
    ]


@pytest.mark.parametrize("broken", ['b,"1,2', 'b,1,2 " 3', '"b"x,1,2', "\xff,1,2"])
def test_a_record_that_is_broken_takes_no_other_with_it(tmp_path, broken):
    path = tmp_path / "rows.csv"
    path.write_bytes(f"id,x,y\na,1,2\n{broken}\nc,3,4\nd,5,6\n".encode("latin-1"))
    good, bad = table(path)
    assert [(row[1], row[3]) for row in good] == [(1, "a"), (3, "c"), (5, "d")]
    assert [fault[0] for fault in bad] == [f"{path.as_uri()} line 3"]


fields = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=6)


@given(st.lists(st.tuples(fields, st.floats(allow_nan=False), st.integers()), min_size=1), st.integers(1, 7))
def test_any_table_cut_anywhere_has_every_row_once(tmp_path_factory, rows, size):
    path = tmp_path_factory.mktemp("any") / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("id", "x", "y"), *rows])
    good, bad = table(path, rows=size)
    assert not bad
    assert good == [(at, x, y, name) for at, (name, x, y) in enumerate(rows)]


def test_an_open_quote_spoils_one_line_however_long_the_file_is():
    text = b'a\n"open\n' + b"".join(b"%d\n" % number for number in range(1000))
    complete = list(records(lines.lines(io.BytesIO(text), 0, 1)))
    assert len(complete) == 1002
    assert [record.text for record in complete[:3]] == [b"a", b'"open', b"0"]


def test_a_line_without_end_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(lines, "MOST", 10)
    monkeypatch.setattr(lines, "BLOCK", 4)
    read_lines = list(lines.lines(io.BytesIO(b"ok\n" + b"x" * 100 + b"\nend"), 0, 1))
    assert [(line.line, line.text) for line in read_lines] == [(1, b"ok"), (2, None), (3, b"end")]
    assert read_lines[-1].stop == 107


def test_lines_of_json_are_objects_or_rows_and_bad_ones_are_set_aside(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    given_ = ['{"id": 7, "x": 1, "y": 2}', "{", "[3, 4]", '{"id": "b", "x": 5}', '{"id": null, "x": "no", "y": 1}']
    path.write_bytes(gzip.compress("\n".join(given_).encode()))
    good, bad = table(path)
    assert good == [(0, 1, 2, "7"), (2, 3, 4, None), (4, "no", 1, None)]  # what a value may be, the handler says
    assert [(fault[0].rsplit(" ", 1)[1], fault[1]) for fault in bad] == [
        ("2", "undecodable_body"),
        ("4", "invalid_row"),
    ]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=20), st.integers(1, 4))
def test_any_lines_of_json_cut_anywhere_are_every_row_once(tmp_path_factory, texts, size):
    path = tmp_path_factory.mktemp("any") / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    [source] = find_sources([str(path)]).files
    values = [value for chunk in chunks(source, TEXT, size) for value in chunk.values or ()]
    assert values == texts


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "feather"])
def test_typed_files_are_cut_and_keep_their_types(tmp_path, suffix):
    rows = pa.table({"id": pa.array(range(10), pa.int16()), "y": np.arange(10.0), "x": [None, *range(9)]})
    path = tmp_path / f"rows.{suffix}"
    if suffix == "parquet":
        pq.write_table(rows, path, row_group_size=4)
    else:
        with pa.OSFile(str(path), "wb") as stream, pa.ipc.new_file(stream, rows.schema) as writer:
            writer.write_table(rows, max_chunksize=4)
    [source] = find_sources([str(path)]).files
    assert [(piece.first, piece.rows) for piece in cut(source, NUMBERS, 5)] == [(0, 8), (8, 2)]
    shares = [(piece.first, piece.rows, piece.skip) for piece in cut(source, NUMBERS, 2)]
    if suffix == "parquet":
        assert shares == [(0, 2, 0), (2, 2, 2), (4, 2, 0), (6, 2, 2), (8, 2, 0)]
        assert [row[0] for row in table(path, rows=2)[0]] == list(range(10))
    good, bad = table(path, rows=5)
    assert not bad
    assert [row[0] for row in good] == [row[3] for row in good] == list(range(10))
    assert np.isnan(good[0][1])  # a null is for the handler to refuse
    assert [row[1:3] for row in good[1:]] == [(at, at + 1) for at in range(9)]


def test_a_stream_of_arrow_is_read_whole(tmp_path):
    path = tmp_path / "rows.arrow"
    rows = pa.table({"id": [1, 2], "x": [1.0, 2.0], "y": [3.0, 4.0]})
    with pa.OSFile(str(path), "wb") as stream, pa.ipc.new_stream(stream, rows.schema) as writer:
        writer.write_table(rows)
    assert table(path)[0] == [(0, 1, 3, 1), (1, 2, 4, 2)]


def test_images_are_rows_and_one_that_is_gone_is_a_bad_one(tmp_path):
    for name in ("b.png", "a.jpg", "d.tiff", "_hidden.png", "c.txt"):
        (tmp_path / name).write_bytes(name.encode())
    [source] = find_sources([str(tmp_path)]).files
    assert [path.rsplit("/", 1)[1] for path in source.paths] == ["a.jpg", "b.png", "d.tiff"]
    (tmp_path / "a.jpg").unlink()
    [chunk] = chunks(source, Selection({"value": "image"}, numbers=False, keep=("path",), chunk=8))
    assert (list(chunk.values or ()), list(chunk.places), list(chunk.faults)) == ([b"b.png", b"d.tiff"], [1, 2], [0])


@pytest.mark.parametrize("text", ["1_000", "\uff11\uff12", "1e-400", "0.0001e-330", "٣"])
def test_numbers_that_only_python_reads_or_that_vanish_are_bad_rows(tmp_path, text):
    path = tmp_path / "rows.csv"
    path.write_text(f"id,x,y\na,{text},2\nb,0,0e5\n")
    good, bad = table(path)
    assert good == [(1, 0, 0, "b")]
    assert [reason for _, _, reason in bad] == [f"expected a number, got {text!r}"]


def test_a_byte_order_mark_before_json_lines_is_none_of_the_row(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": 1, "x": 1, "y": 2}\n{"id": 2, "x": 3, "y": 4}\n')
    good, bad = table(path)
    assert ([row[:3] for row in good], bad) == ([(0, 1, 2), (1, 3, 4)], [])


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_booleans_decimals_and_categories_are_numbers(tmp_path, suffix):
    rows = pa.table(
        {
            "id": pa.array([1, 2]),
            "x": pa.array([True, None]),
            "y": pa.array([Decimal("1.5"), Decimal("2.25")], pa.decimal128(9, 2)).dictionary_encode()
            if suffix == "arrow"
            else pa.array([Decimal("1.5"), Decimal("2.25")], pa.decimal128(9, 2)),
        }
    )
    path = tmp_path / f"rows.{suffix}"
    written(rows, path)
    good, bad = table(path)
    assert ([row[2] for row in good], bad) == ([1.5, 2.25], [])
    assert good[0][1] == 1
    assert np.isnan(good[1][1])


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pa.array(["a", "b"], pa.string_view()), ["a", "b"]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array([b"a", b"b"], pa.binary_view()), [b"a", b"b"]),
        (pa.array([b"a", b"b"], pa.binary(1)), [b"a", b"b"]),
        (pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array(["a"])), ["a", "a"]),
        (pa.array([{"bytes": b"a", "path": "a.png"}, {"bytes": None, "path": "b.png"}]), [b"a", None]),
    ],
)
def test_one_value_a_row_may_be_a_view_a_category_or_an_image_of_a_dataset(tmp_path, column, values):
    path = tmp_path / "rows.arrow"
    written(pa.table({"text": column}), path)
    sources = find_sources([str(path)]).files
    selection = select_columns(sources, [], {}, (), ",", 10)
    [chunk] = chunks(sources[0], selection)
    assert chunk.values == values


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", "b"], pa.string_view()),
        pa.array([b"a", b"b"], pa.binary_view()),
        pa.RunEndEncodedArray.from_arrays(pa.array([1, 2], pa.int32()), pa.array(["a", "b"])),
    ],
)
def test_kept_columns_have_layouts_that_can_be_written_and_grouped(tmp_path, column):
    path = tmp_path / "rows.arrow"
    written(pa.table({"id": column, "x": pa.array([1.0, 2.0]), "y": pa.array([1.0, 2.0])}), path)
    sources = find_sources([str(path)]).files
    [chunk] = chunks(sources[0], select_columns(sources, ["x", "y"], {}, ("id",), ",", 10))
    assert chunk.kept is not None
    pq.write_table(chunk.kept, tmp_path / "kept.parquet")
    assert chunk.kept.group_by("id").aggregate([]).num_rows == 2


def written(rows: pa.Table, path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(rows, path)
        return
    with pa.OSFile(str(path), "wb") as stream, pa.ipc.new_file(stream, rows.schema) as writer:
        writer.write_table(rows)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["no.csv"], "no such file"),
        (["a.txt"], "unknown kind"),
        (["a.csv", "a.jsonl"], "several kinds"),
        (["odd://x"], "URL"),
    ],
)
def test_what_can_not_be_scored_is_said(tmp_path, monkeypatch, names, reason):
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "a.csv", "a.jsonl"):
        (tmp_path / name).write_text("x\n")
    with pytest.raises(BatchError, match=reason):
        find_sources(names)


def test_a_row_of_empty_fields_parted_by_tabs_is_a_row(tmp_path):
    (tmp_path / "rows.tsv").write_text("id\tx\ty\na\t1\t2\n\t\t\n\n  \nb\t3\t4\n")
    good, bad = table(tmp_path / "rows.tsv")
    assert good == [(0, 1.0, 2.0, "a"), (2, 3.0, 4.0, "b")]
    assert [(where.rpartition(" ")[2], reason) for where, _, reason in bad] == [("3", "the number is missing")]
