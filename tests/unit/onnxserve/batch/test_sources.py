"""Which files a batch job reads."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onnxserve.batch import job_of
from onnxserve.batch.output import Folder
from onnxserve.batch.part import Selection
from onnxserve.batch.plan import select_columns
from onnxserve.batch.sources import find_sources, kind_of, open_source
from onnxserve.errors import BatchError

NUMBERS = Selection({"x": "x", "y": "y"}, numbers=True, keep=("id",), chunk=3)
TEXT = Selection({"value": "text"}, numbers=False, chunk=3)


def test_a_folder_a_glob_and_a_url_name_the_same_files(tmp_path):
    for name in ("b.csv", "a.csv", "_SUCCESS", "notes.txt"):
        (tmp_path / name).write_text("x,y\n")
    urls = [[file.url for file in find_sources([name]).files] for name in (str(tmp_path), f"{tmp_path}/*.csv")]
    assert urls[0] == urls[1] == [(tmp_path / name).as_uri() for name in ("a.csv", "b.csv")]
    assert [file.url for file in find_sources([(tmp_path / "a.csv").as_uri()]).files] == [(tmp_path / "a.csv").as_uri()]


def test_files_of_no_known_kind_are_named_and_a_name_with_brackets_is_a_file(tmp_path):
    for name in ("rows[1].csv", "a.csv", "notes.txt", "scan.pdf"):
        (tmp_path / name).write_text("x,y\n")
    sources = find_sources([str(tmp_path)])
    assert [source.url.rpartition("/")[2] for source in sources.files] == ["a.csv", "rows[1].csv"]
    assert [url.rpartition("/")[2] for url in sources.skipped] == ["notes.txt", "scan.pdf"]
    assert [source.size for source in find_sources([str(tmp_path / "rows[1].csv")]).files] == [4]
    with pytest.raises(BatchError, match=r"nothing to score: .*scan\.pdf is of no known kind"):
        find_sources([f"{tmp_path}/*.pdf"])


def test_two_colons_in_a_path_are_part_of_a_name_and_no_chain_of_urls(tmp_path, monkeypatch):
    (tmp_path / "a::b.csv").write_text("x,y\n1,2\n")
    monkeypatch.chdir(tmp_path)
    for name in ("a::b.csv", str(tmp_path / "a::b.csv"), f"file://{tmp_path}/a::b.csv", str(tmp_path)):
        [source] = find_sources([name]).files
        assert source.url.endswith("/a::b.csv")
        with open_source(source.url) as stream:
            assert stream.read() == b"x,y\n1,2\n"
    folder = Folder("out::put")
    folder.write("part.csv", b"x")
    assert (tmp_path / "out::put" / "part.csv").read_bytes() == b"x"


def test_kinds_are_known_by_suffixes():
    assert [kind_of(name) for name in ("a.CSV", "a.jsonl.gz", "a.parquet.gz", "a", "a.tsv")] == [
        "csv",
        "jsonl",
        None,
        None,
        "csv",
    ]


def test_columns_are_looked_up_in_every_source(tmp_path):
    (tmp_path / "a.csv").write_text("x,why,id\n")
    (tmp_path / "b.csv").write_text("x,id\n")
    sources = find_sources([str(tmp_path)]).files
    assert select_columns(sources[:1], ("x", "y"), {"y": "why"}, ["all"], ",", 9).keep == ("id",)
    (tmp_path / "d.jsonl").write_text("{}")
    with pytest.raises(BatchError, match="no fixed columns"):
        select_columns(find_sources([str(tmp_path / "d.jsonl")]).files, ("x", "y"), {}, ["all"], ",", 9)
    with pytest.raises(BatchError, match="missing columns: why"):
        select_columns(sources, ("x", "y"), {"y": "why"}, [], ",", 9)
    with pytest.raises(BatchError, match="the model has no columns"):
        select_columns(sources, ("x", "y"), {"z": "why"}, [], ",", 9)
    with pytest.raises(BatchError, match="several columns may be the model's input"):
        select_columns(sources, (), {}, [], ",", 9)
    pq.write_table(pa.table({"x": ["1"], "y": [[1]]}), tmp_path / "c.parquet")
    with pytest.raises(BatchError, match="numbers are expected, x is text; y is list"):
        select_columns(find_sources([str(tmp_path / "c.parquet")]).files, ("x", "y"), {}, [], ",", 9)


def test_a_job_is_refused_before_anything_is_read(archive, tmp_path):
    from onnxserve.batch import JobRequest, Shape

    (tmp_path / "a.csv").write_text("x,y,prediction\n")
    ask = JobRequest(str(archive), (str(tmp_path / "a.csv"),), keep=("prediction",))
    with pytest.raises(BatchError, match="names that the output uses itself"):
        job_of(ask)
    with pytest.raises(BatchError, match="columns that aren't kept: z"):
        job_of(JobRequest(str(archive), (str(tmp_path / "a.csv"),), keep=("x",), shape=Shape(partition=("z",))))


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ({"kind": "tensors", "tensors": [{"name": "frames"}]}, {"frames": "frames"}),
        ({"kind": "tensors", "tensors": [{"name": "a"}, {"name": "b"}]}, {"a": "a", "b": "b"}),
        ({"kind": "text", "pairs": True}, {"text": "text", "text_pair": "text_pair"}),
        ({"kind": "audio"}, {"value": "audio"}),
        ({"kind": "text", "tensors": ["input_ids"]}, {"value": "text"}),
    ],
)
def test_a_line_of_json_has_the_fields_that_a_request_has(archive, tmp_path, monkeypatch, rows, columns):
    from onnxserve.batch import JobRequest, request

    signature = {"input": rows, "output": {"labels": []}}
    monkeypatch.setattr(request, "read_signature", lambda _: signature)
    (tmp_path / "rows.jsonl").write_text("{}\n")
    assert job_of(JobRequest(str(archive), (str(tmp_path / "rows.jsonl"),))).selection.columns == columns


@pytest.mark.parametrize(
    ("rows", "file", "message"),
    [
        (
            {"kind": "tensors", "tensors": [{"name": "input", "dtype": "float32", "shape": [3, "height", 8]}]},
            "cat.png",
            (
                "the sources are 1 images, but the rows of this model are arrays (input: float32 [3, 'height', 8])",
                'write lines {"input": [...]} to a .jsonl file; or export the model with [input] kind = "image"',
            ),
        ),
        ({"kind": "table", "columns": ["x"]}, "cat.png", ("the rows of this model are of kind table", "JSON lines")),
        ({"kind": "image"}, "bark.wav", ("the sources are 1 sounds, but", "name a folder of images")),
        ({"kind": "audio"}, "cat.png", ("the rows of this model are of kind audio", "name a folder of sounds")),
    ],
)
def test_files_that_are_no_rows_of_the_model_are_refused_with_the_way_out(
    archive, tmp_path, monkeypatch, rows, file, message
):
    from onnxserve.batch import JobRequest, request

    monkeypatch.setattr(request, "read_signature", lambda _: {"input": rows, "output": {"labels": []}})
    (tmp_path / file).write_bytes(b"\0")
    with pytest.raises(BatchError) as refused:
        job_of(JobRequest(str(archive), (str(tmp_path),)))
    what, fix = message
    assert what in refused.value.what
    assert refused.value.where == str(tmp_path)
    assert fix in refused.value.fix


@pytest.mark.parametrize("kind", ["image", "text", ""])
def test_images_are_rows_of_a_model_of_images_and_may_be_of_others(archive, tmp_path, monkeypatch, kind):
    from onnxserve.batch import JobRequest, request

    signature = {"input": {"kind": kind}, "output": {"labels": []}}
    monkeypatch.setattr(request, "read_signature", lambda _: signature)
    (tmp_path / "cat.png").write_bytes(b"\0")
    assert job_of(JobRequest(str(archive), (str(tmp_path),))).selection.columns == {"value": "image"}
