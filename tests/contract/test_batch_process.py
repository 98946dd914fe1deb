"""Rows that end the process which scores them, and jobs without rows."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from onnxserve.archive import contents, write_archive
from onnxserve.batch import Manifest, Remote, Shape
from onnxserve.errors import BatchError, OnnxserveError
from tests.helpers.batch_jobs import read, run
from tests.helpers.upstream import Upstream, listening

DEADLY = """

def _deadly(x):
    import os
    import signal
    import sys
    if x == 666:
        os._exit(3)
    if x == 667:
        os.kill(os.getpid(), signal.SIGSEGV)
    if x == 668:
        sys.exit("enough")


_check, _check_columns = TableInput.check, TableInput.check_columns


def _checked(self, instance, where):
    row = _check(self, instance, where)
    _deadly(row[0])
    return row


def _columns_checked(self, columns):
    for x in columns["x"]:
        _deadly(x)
    return _check_columns(self, columns)


TableInput.check, TableInput.check_columns = _checked, _columns_checked
"""
RAY_STARTS = 3  # Ray gives its own processes 30 s, which a busy machine may exceed, and offers no setting
ENDS = {7: (666.0, "exit code 3"), 8: (667.0, "SIGSEGV"), 200: (668.0, "exit code 1")}


@pytest.fixture(scope="module")
def deadly(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive whose handler ends its process at certain rows."""
    return with_table_code(archive, DEADLY, tmp_path_factory.mktemp("deadly"))


def with_table_code(archive: Path, code: str, folder: Path) -> Path:
    """Write a copy of an archive with more code in its module of tables."""
    members, manifest, _ = contents(archive)
    [name] = [name for name in members if name.endswith("/inputs/table.py")]
    write_archive(folder / archive.name, {**members, name: members[name] + code.encode()}, manifest)
    return folder / archive.name


def xs(rows: int, last: int = 200) -> list[float]:
    """The first column; rows up to `last` may end their process."""
    return [ENDS[row][0] if row in ENDS and row <= last else row / 1000 for row in range(rows)]


def check_set_aside(out: Path, rows: int, last: int = 200) -> None:
    """Every other row has its prediction."""
    table = read(out)
    assert table["row"].to_pylist() == list(range(rows))
    errors = {row: error for row, error in enumerate(table["error"].to_pylist()) if error is not None}
    expected_ends = {row: how for row, (_, how) in ENDS.items() if row < rows and row <= last}
    assert errors == {
        row: f"worker_ended: the process that scored this row ended: {how}" for row, how in expected_ends.items()
    }
    predictions = table["prediction"].to_pylist()
    assert [row for row, prediction in enumerate(predictions) if prediction is None] == list(expected_ends)
    lines = [json.loads(line) for line in (out / "_quarantine.jsonl").read_text().splitlines()]
    assert [(line["type"], line["row"]) for line in lines] == [("worker_ended", row) for row in expected_ends]


def test_a_row_that_ends_its_process_is_found_by_halving_and_the_others_are_scored(archive, deadly, tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"id": range(300), "x": xs(300), "y": [0.1] * 300}), path)
    manifest = run(deadly, path, tmp_path / "out", shape=Shape(scores=True, outputs=True), part_rows=25)
    assert (manifest.scored, manifest.failed) == (297, 3)
    check_set_aside(tmp_path / "out", 300)
    run(archive, path, tmp_path / "safe", shape=Shape(scores=True, outputs=True))
    columns = ["prediction", "score", "scores", "outputs"]
    tables = (read(tmp_path / name).select(columns).to_pylist() for name in ("out", "safe"))
    rows, safe = ([row for at, row in enumerate(table) if at not in ENDS] for table in tables)
    assert rows == safe


def test_rows_of_json_that_end_their_process_are_set_aside_too(deadly, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps([x, 0.1]) + "\n" for x in xs(20)))
    run(deadly, path, tmp_path / "out", keep=())
    check_set_aside(tmp_path / "out", 20)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred rows, two of which end their process."""
    path: Path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    pq.write_table(pa.table({"id": range(200), "x": xs(200, last=8), "y": [0.1] * 200}), path, row_group_size=20)
    return path


@pytest.fixture(scope="module")
def here(deadly: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """What this process made of them."""
    return run(deadly, rows, tmp_path_factory.mktemp("here") / "out", part_rows=20)


def refusing(folder: Path) -> Path:
    """Modules that leave a mark when they are imported, and can't be."""
    folder.mkdir()
    for name in ("pandas", "ray"):
        mark = folder / f"{name}.imported"
        (folder / f"{name}.py").write_text(f"open({str(mark)!r}, 'w').close()\nraise ImportError('not to be used')\n")
    return folder


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_the_engines_write_the_same_and_survive_such_rows(deadly, rows, here, tmp_path, engine):
    words = [str(deadly), str(rows), "-o", str(tmp_path / "out"), "--engine", engine, "--keep", "id", "--json"]
    words += ["--part-rows", "20", "--workers", "2"]
    command = [sys.executable, "-m", "onnxserve", "batch", *words]
    environment = dict(os.environ)
    if engine == "local":
        environment["PYTHONPATH"] = f"{refusing(tmp_path / 'unused')}:{os.environ.get('PYTHONPATH', '')}"
    for _ in range(RAY_STARTS):
        completed = subprocess.run(command, env=environment, capture_output=True, check=False)
        if b"timed out during startup" not in completed.stderr:
            break
    assert completed.returncode == 0, completed.stderr.decode()
    assert not list(tmp_path.glob("unused/*.imported")), "it takes seconds to import and isn't used"
    manifest = msgspec.json.decode(completed.stdout, type=Manifest)
    assert (manifest.failed, manifest.files) == (2, here.files)
    check_set_aside(tmp_path / "out", 200, last=8)


def test_a_handler_that_ends_its_process_at_every_row_ends_the_job_with_the_reason(deadly, tmp_path, monkeypatch):
    monkeypatch.setattr("onnxserve.batch.process_scorer.MOST_ENDS", 4)
    path = tmp_path / "rows.jsonl"
    path.write_text("[666, 0]\n" * 50)
    with pytest.raises(BatchError, match="ended its process 5 times, last: exit code 3"):
        run(deadly, path, tmp_path / "out", keep=())
    assert not list((tmp_path / "out").glob("*.parquet"))


CONNECT = """

def _connects():
    import socket
    try:
        socket.create_connection(("127.0.0.1", {port}), 5).close()
    except OSError:  # no sockets of this family
        return
    raise SystemExit("it has a network")


_connects()
"""


def test_the_process_gives_up_the_rights_that_a_worker_gives_up(archive, tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl"
    path.write_text("[0.5, 0.5]\n")
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        changed = with_table_code(archive, CONNECT.format(port=somebody.getsockname()[1]), tmp_path)
        with pytest.raises(BatchError, match="exit code 1"):
            run(changed, path, tmp_path / "free", keep=())
        monkeypatch.setenv("ONNXSERVE_CONFINE", "no-network")
        run(changed, path, tmp_path / "confined", keep=())
    assert read(tmp_path / "confined").num_rows == 1


def test_a_process_that_cannot_be_confined_as_asked_scores_nothing(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("ONNXSERVE_CONFINE", "no-sense")
    path = tmp_path / "rows.jsonl"
    path.write_text("[0.5, 0.5]\n")
    with pytest.raises(OnnxserveError, match="ONNXSERVE_CONFINE has 'no-sense'; it knows no-network, memory=MB and"):
        run(archive, path, tmp_path / "out", keep=())


def test_an_answer_too_large_for_a_server_is_asked_for_in_halves_at_once(archive, tmp_path):
    sizes = []

    def answer(_path: str, body: bytes) -> tuple[int, bytes]:
        count = len(json.loads(body)["instances"])
        sizes.append(count)
        if count > 5:
            return 507, b'{"error": {"type": "answer_too_large", "reason": "9 bytes"}}'
        predictions = [{"label": "inside", "score": 0.5}] * count
        return 200, json.dumps({"predictions": predictions, "model": "circle", "version": "1.0.0"}).encode()

    path = tmp_path / "rows.jsonl"
    path.write_text("[0, 0]\n" * 16)
    with listening(Upstream(answer)) as upstream:
        remote = Remote(f"http://127.0.0.1:{upstream.port}", concurrency=1)
        manifest = run(archive, path, tmp_path / "out", keep=(), remote=remote)
    assert (manifest.scored, sizes) == (16, [16, 8, 4, 4, 8, 4, 4])


SHAPE = Shape(scores=True, outputs=True)


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "jsonl"])
def test_of_no_rows_the_output_has_the_columns_of_some(archive, tmp_path, suffix):
    table = pa.table({"id": pa.array([1]), "x": [0.0], "y": [0.1]})
    for name, rows in (("none", table.slice(0, 0)), ("some", table)):
        path = tmp_path / f"{name}.{suffix}"
        if suffix == "parquet":
            pq.write_table(rows, path)
        elif suffix == "arrow":
            pyarrow.feather.write_feather(rows, path, compression="uncompressed")
        elif suffix == "csv":
            path.write_text("id,x,y\n" + "1,0.0,0.1\n" * rows.num_rows)
        else:
            path.write_text('{"id": 1, "x": 0, "y": 0.1}\n' * rows.num_rows)
    none = run(archive, tmp_path / f"none.{suffix}", tmp_path / "none", shape=SHAPE)
    run(archive, tmp_path / f"some.{suffix}", tmp_path / "some", shape=SHAPE)
    assert (none.rows, none.scored, none.failed) == (0, 0, 0)
    assert [file["rows"] for file in none.files.values()] == [0]
    schemas = [ds.dataset(str(tmp_path / name), format="parquet").schema for name in ("none", "some")]
    assert schemas[0].equals(schemas[1]), schemas
    assert (tmp_path / "none" / "_quarantine.jsonl").read_text() == ""


def test_a_part_whose_rows_are_all_bad_has_the_types_of_the_others(archive, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id,x,y\n1,no,0\n2,0,0\n")
    run(archive, path, tmp_path / "out", shape=SHAPE, part_rows=1)
    first, second = (pq.read_schema(path) for path in sorted((tmp_path / "out").glob("*.parquet")))
    assert first.equals(second), (first, second)
    assert read(tmp_path / "out")["outputs"].null_count == 1
