"""Jobs over real files, by the archive's own handler: whole, once each, and nothing lost to an accident."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import fsspec
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onnxserve.batch import Folder, JobRequest, Plan, Remote, Shape, job_of, lock_output, plan_of, score
from onnxserve.batch import worker as batch_worker
from onnxserve.batch.scorer import check_bulk
from onnxserve.batch.worker import Worker
from onnxserve.errors import ArchiveError, BatchError
from tests.helpers.batch_jobs import ONE, Here, read, run
from tests.helpers.secrets import SECRET
from tests.helpers.upstream import Upstream, listening


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    draws = np.random.default_rng(3).normal(size=(1000, 2)) * 2
    table = pa.table({"id": pa.array(range(1000)), "x": draws[:, 0], "y": draws[:, 1], "day": ["mo", "tu"] * 500})
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path, row_group_size=100)
    return path


def test_every_row_is_scored_once_and_the_manifest_says_so(archive, rows, tmp_path):
    manifest = run(archive, rows, tmp_path / "out")
    table = read(tmp_path / "out")
    assert table.column_names == [
        *("id", "source", "row", "prediction", "score", "model", "version", "archive", "error"),
    ]
    assert table["id"].to_pylist() == table["row"].to_pylist() == list(range(1000))
    assert set(table["prediction"].to_pylist()) == {"inside", "outside"}
    assert table["error"].null_count == 1000
    assert (manifest.rows, manifest.scored, manifest.failed, manifest.parts) == (1000, 1000, 0, 10)
    assert manifest.archive == hashlib.sha256(archive.read_bytes()).hexdigest() == table["archive"][0].as_py()
    for name, file in manifest.files.items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == file["sha256"]


def test_a_job_that_was_cut_off_goes_on_and_does_nothing_twice(archive, rows, tmp_path):
    first, second, third = Here(4), Here(), Here()
    with pytest.raises(KeyboardInterrupt):
        run(archive, rows, tmp_path / "out", first)
    assert not (tmp_path / "out" / "_manifest.json").exists()
    run(archive, rows, tmp_path / "out", second)
    run(archive, rows, tmp_path / "out", third)
    assert (first.done, second.done, third.done) == ([0, 1, 2, 3], [4, 5, 6, 7, 8, 9], [])
    assert read(tmp_path / "out")["row"].to_pylist() == list(range(1000))


def test_another_job_is_not_mixed_into_an_output(archive, next_archive, rows, tmp_path):
    run(archive, rows, tmp_path / "out")
    with pytest.raises(BatchError, match="the output belongs to another job: model"):
        run(next_archive, rows, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(BatchError, match="no job wrote"):
        run(archive, rows, tmp_path / "mine")
    job, folder = job_of(JobRequest(str(archive), (str(rows),))), Folder(str(tmp_path / "mine"))
    with lock_output(folder), pytest.raises(BatchError, match="no job wrote"):
        plan_of(job, folder, restart=True)
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_a_restart_begins_anew(archive, next_archive, rows, tmp_path):
    run(archive, rows, tmp_path / "out")
    job, folder = job_of(JobRequest(str(next_archive), (str(rows),), limit=150)), Folder(str(tmp_path / "out"))
    with lock_output(folder):
        manifest = score(plan_of(job, folder, restart=True), folder, Here(), ONE, None, lambda _: None)
    assert (manifest.version, manifest.rows, len(read(tmp_path / "out"))) == ("2.0.0", 150, 150)


def test_a_source_that_changed_is_another_job(archive, rows, tmp_path):
    run(archive, rows, tmp_path / "out")
    pq.write_table(pq.read_table(rows).slice(1), rows)
    with pytest.raises(BatchError, match="sources"):
        run(archive, rows, tmp_path / "out")


def test_two_jobs_do_not_work_on_one_output(archive, rows, tmp_path):
    with lock_output(Folder(str(tmp_path / "out"))), pytest.raises(BatchError, match="another process"):
        run(archive, rows, tmp_path / "out")


def test_bad_rows_are_set_aside_with_their_place_and_keep_their_row(archive, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id,x,y\n1,0,0.1\n2,no,1\n3,inf,1\n4\n5,3,3\n")
    manifest = run(archive, path, tmp_path / "out")
    table = read(tmp_path / "out")
    assert (manifest.rows, manifest.failed) == (5, 3)
    assert table["prediction"].to_pylist() == ["inside", None, None, None, "outside"]
    assert table["id"].to_pylist() == ["1", "2", "3", None, "5"]
    assert table["error"][1].as_py() == "invalid_row: x: expected a number, got 'no'"
    lines = [json.loads(line) for line in (tmp_path / "out" / "_quarantine.jsonl").read_text().splitlines()]
    assert [(line["source"].rsplit(" ", 1)[1], line["row"], line["input"]) for line in lines] == [
        ("3", 1, "2,no,1"),
        ("4", 2, "3,inf,1"),
        ("5", 3, "4"),
    ]
    assert lines[1]["reason"] == "the number is not finite in float32"


@pytest.mark.parametrize(
    ("name", "text", "failed"),
    [
        ("rows.csv", f"id,x,y\n1,0,0.1\n2,{SECRET},1\n3,1,1,{SECRET}\n{SECRET}\n", 3),
        (
            "rows.jsonl",
            '{"id": 1, "x": 0, "y": 0.1}\n'
            + "\n".join(
                [
                    json.dumps({"x": SECRET, "y": 1}),
                    json.dumps({"x": {"a": SECRET}, "y": [SECRET]}),
                    json.dumps({SECRET: SECRET}),
                    f'{{"{SECRET}": {SECRET}',
                    json.dumps([0, 1, SECRET]),
                ]
            )
            + "\n",
            5,
        ),
    ],
)
def test_with_redact_no_value_of_a_bad_row_is_written_anywhere(archive, tmp_path, name, text, failed):
    path = tmp_path / name
    path.write_text(text)
    manifest = run(archive, path, tmp_path / "out", redact=True, keep=())
    assert (manifest.scored, manifest.failed) == (1, failed)
    lines = [json.loads(line) for line in (tmp_path / "out" / "_quarantine.jsonl").read_text().splitlines()]
    assert {(line["input"], line["reason"]) for line in lines} == {("redacted", "redacted")}
    assert all(line["type"] and str(path) in line["source"] for line in lines)
    assert [error is None for error in read(tmp_path / "out")["error"].to_pylist()] == [True] + [False] * failed
    assert SECRET not in str(read(tmp_path / "out").to_pylist()) + str(lines)
    assert not [
        file for file in (tmp_path / "out").rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()
    ]


def test_too_many_bad_rows_stop_the_job_which_can_go_on(archive, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": 1, "x": 0, "y": 0}\n{\n{\n')
    with pytest.raises(BatchError, match="more than 1 bad rows"):
        run(archive, path, tmp_path / "out", errors=1)
    with pytest.raises(BatchError, match="2 bad rows, at most 1"):
        run(archive, path, tmp_path / "out2", errors=1, part_rows=2)
    assert run(archive, path, tmp_path / "out", errors=2).failed == 2


def test_a_job_that_fails_has_ended_its_workers_whoever_keeps_the_error(archive, tmp_path):
    path, engine = tmp_path / "rows.jsonl", Here()
    path.write_text('{"id": 1, "x": 0, "y": 0}\n{\n{\n{"id": 4, "x": 0, "y": 0}\n')
    with pytest.raises(BatchError, match="2 bad rows") as caught:
        run(archive, path, tmp_path / "out", engine, errors=1, part_rows=2)
    assert caught.value.__traceback__ is not None
    assert engine.is_closed


def test_partitions_become_folders_and_a_limit_ends_early(archive, rows, tmp_path):
    shape = Shape(scores=True, outputs=True, partition=("day",))
    manifest = run(archive, rows, tmp_path / "out", keep=("id", "day"), shape=shape, limit=250)
    assert set(manifest.files) == {f"day={day}/part-0000{part}.parquet" for day in ("mo", "tu") for part in range(3)}
    table = read(tmp_path / "out")
    assert table["row"].to_pylist() == list(range(250))
    assert table["day"].to_pylist() == ["mo", "tu"] * 125
    scores = np.array(table["scores"].to_pylist())
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-6)
    assert np.allclose(scores.max(axis=1), table["score"].to_numpy(), atol=1e-6)
    assert np.array(table["outputs"].to_pylist()).argmax(axis=1).tolist() == scores.argmax(axis=1).tolist()


def test_object_stores_are_read_and_written_by_their_urls(archive, rows):
    with fsspec.open("memory://data/rows.parquet", "wb") as stream:
        stream.write(rows.read_bytes())
    with fsspec.open("memory://models/circle.mar", "wb") as stream:
        stream.write(archive.read_bytes())
    manifest = run("memory://models/circle.mar", "memory://data/*.parquet", "memory://out/scored")
    fs = fsspec.filesystem("memory")
    assert set(manifest.files) == {path.rsplit("/", 1)[1] for path in fs.glob("memory://out/scored/*.parquet")}
    with fs.open("/out/scored/part-00003.parquet") as stream:
        assert pq.read_table(stream)["id"].to_pylist() == list(range(300, 400))
    again = Here()
    assert run("memory://models/circle.mar", "memory://data/*.parquet", "memory://out/scored", again) == manifest
    assert again.done == []


def test_a_part_that_fails_leaves_nothing_and_is_told(archive, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(batch_worker, "write_bad_rows", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(BatchError, match="disk full"):
        run(archive, rows, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*part*"))


def test_an_archive_from_before_batch_scoring_is_told_apart(archive, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(batch_worker, "check_bulk", without_bulk)
    with pytest.raises(ArchiveError, match="support batch scoring"):
        run(archive, rows, tmp_path / "out")


def without_bulk(folder: Path) -> None:
    for path in folder.glob("handlers_*/bulk.py"):
        path.unlink()
    check_bulk(folder)


def test_a_server_that_is_busy_is_asked_again_and_a_bad_row_costs_no_other(archive, tmp_path):
    sizes = []

    def answer(_path: str, body: bytes) -> tuple[int, bytes]:
        instances = json.loads(body)["instances"]
        sizes.append(len(instances))
        if len(sizes) < 3:
            return 503, b'{"error": {"type": "unavailable", "reason": "busy"}}'
        if [None, 1] in instances:
            return 422, b'{"error": {"type": "invalid_row", "reason": "expected a number, got null"}}'
        label = [{"label": "inside" if x * x + y * y < 1 else "outside", "score": 0.5} for x, y in instances]
        return 200, json.dumps({"predictions": label, "model": "circle", "version": "1.0.0"}).encode()

    path = tmp_path / "rows.parquet"
    pq.write_table(
        pa.table({"id": range(40), "x": [0.0] * 20 + [None] + [2.0] * 19, "y": [1.0 / 2] * 20 + [1.0] * 20}), path
    )
    with listening(Upstream(answer)) as upstream:
        remote = Remote(f"http://127.0.0.1:{upstream.port}", concurrency=3)
        manifest = run(archive, path, tmp_path / "out", remote=remote)
    table = read(tmp_path / "out")
    assert (manifest.scored, manifest.failed) == (39, 1)
    assert table["prediction"].to_pylist() == ["inside"] * 20 + [None] + ["outside"] * 19
    assert table["error"][20].as_py() == "invalid_row: expected a number, got null"


def test_a_server_that_stays_away_or_is_another_ends_the_job(archive, rows, tmp_path, monkeypatch):
    monkeypatch.setattr("onnxserve.batch.remote.FIRST_S", 0.001)
    answers = {"a": (429, b"{}"), "b": (401, b'{"error": {"type": "x", "reason": "no key"}}')}
    answers["c"] = (200, b'{"predictions": [], "model": "circle", "version": "9"}')
    for name, reason in (("a", "after 6 tries"), ("b", "401: no key"), ("c", "circle 9 answered")):
        with listening(Upstream(lambda *_, name=name: answers[name])) as upstream:
            remote = Remote(f"http://127.0.0.1:{upstream.port}", concurrency=1)
            with pytest.raises(BatchError, match=reason):
                run(archive, rows, tmp_path / name, remote=remote)


def test_a_row_that_breaks_the_server_is_set_aside_alone(archive, tmp_path):
    sizes = []

    def answer(_path: str, body: bytes) -> tuple[int, bytes]:
        instances = json.loads(body)["instances"]
        sizes.append(len(instances))
        if [9, 9] in instances:
            return 507, b'{"error": {"type": "worker_ended", "reason": "the worker that had the request ended"}}'
        if len(sizes) == 1:
            return 500, b'{"error": {"type": "internal_error", "reason": "once"}}'
        labels = [{"label": "inside", "score": 0.5}] * len(instances)
        return 200, json.dumps({"predictions": labels, "model": "circle", "version": "1.0.0"}).encode()

    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"[{9 if number == 11 else 0}, {9 if number == 11 else 0}]\n" for number in range(16)))
    with listening(Upstream(answer)) as upstream:
        remote = Remote(f"http://127.0.0.1:{upstream.port}", concurrency=1)
        manifest = run(archive, path, tmp_path / "out", remote=remote)
    assert (manifest.scored, manifest.failed) == (15, 1)
    assert read(tmp_path / "out")["error"][11].as_py() == "worker_ended: the worker that had the request ended"


def test_an_archive_that_was_replaced_while_the_job_ran_scores_nothing(archive, next_archive, rows, tmp_path):
    model = tmp_path / "model.mar"
    shutil.copy(archive, model)
    with pytest.raises(KeyboardInterrupt):
        run(model, rows, tmp_path / "out", Here(1), part_rows=10)
    plan = msgspec.json.decode((tmp_path / "out" / "_job" / "plan.json").read_bytes(), type=Plan)
    shutil.copy(next_archive, model)
    with pytest.raises(BatchError, match="not the one that the job began with"):
        Worker(plan.job, str(tmp_path / "out"), ONE)
