"""`onnxserve batch` as a person runs it: killed, run again, compared with a server, joined with a feature store."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from onnxserve.archive import open_archive
from onnxserve.features import first_lookup, load, open_repo, start_features
from onnxserve.torchserve import free_ports
from tests.helpers import program
from tests.helpers.torchserve import ROOT, Running, running
from tests.helpers.waiting import wait_for

CHURN = ROOT / "models" / "churn" / "store"


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "onnxserve", "batch", *map(str, words)]


def run(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    completed = subprocess.run(command(*words), cwd=ROOT, capture_output=True, text=True, check=False)
    assert completed.returncode == code, completed.stdout + completed.stderr
    assert "Traceback" not in completed.stderr
    return completed


def read(out: Path) -> pa.Table:
    return ds.dataset(str(out), format="parquet", partitioning="hive").to_table().sort_by("row")


@pytest.fixture(scope="module")
def segment(demo_archives: list[Path]) -> Path:
    [matching] = [path for path in demo_archives if path.name.startswith("segment")]
    return matching


@pytest.fixture(scope="module")
def rows(segment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with open_archive(segment) as opened:
        names = json.loads(opened.read("signature.json"))["input"]["columns"]
    values = np.random.default_rng(5).normal(20, 40, (60_000, len(names)))
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    pq.write_table(pa.table(dict(zip(names, values.T, strict=True))), path, row_group_size=500)
    return path


def test_a_job_that_is_killed_at_any_moment_ends_with_every_row_once(segment, rows, tmp_path):
    out, draws, kills = tmp_path / "out", random.Random(4), 0
    words = command(segment, rows, "-o", out, "--part-rows", "500", "--workers", "2")
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        process = subprocess.Popen(
            words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        before = len(list((out / "_job" / "parts").glob("*.json"))) if out.exists() else 0
        while process.poll() is None and kills < 4:
            completed = len(list((out / "_job" / "parts").glob("*.json"))) if out.exists() else 0
            if completed > before + draws.randint(1, 8):
                os.killpg(process.pid, signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.01)
        if process.wait(120) == 0:
            break
    assert kills == 4, "the job was over too soon to be killed"
    table = read(out)
    assert table["row"].to_pylist() == list(range(60_000))
    manifest = json.loads((out / "_manifest.json").read_bytes())
    assert (manifest["rows"], manifest["parts"]) == (60_000, 120)
    assert sorted(path.name for path in out.glob("*.parquet")) == sorted(manifest["files"])
    assert not list(out.rglob(".*")), "what killed workers left is swept away"


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_is_stopped_says_how_to_go_on_and_leaves_no_process(segment, rows, tmp_path, kind):
    words = command(segment, rows, "-o", tmp_path / "out", "--part-rows", "500", "--workers", "2")
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(lambda: [*tmp_path.glob("out/_job/parts/*.json")])
        below = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(kind)
        output, _ = process.communicate(timeout=90)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, output
    assert "the same command resumes the job" in output
    assert below
    _, left = psutil.wait_procs(below, 30)
    assert not left


def test_a_row_in_a_file_has_the_bits_of_a_row_at_the_server(segment, rows, demo: Running, tmp_path):
    run(segment, rows, "-o", tmp_path / "out", "--limit", 256, "--outputs", "--batch", 64)
    offline = np.array(read(tmp_path / "out")["outputs"].to_pylist(), np.float32)
    table = pq.read_table(rows).slice(0, 256)
    values = np.column_stack([column.to_numpy() for column in table.columns]).astype("<f4")
    for start in range(0, 256, 64):  # the same company as in the file
        some = values[start : start + 64]
        tensor: dict[str, object] = {"name": "features", "shape": list(some.shape), "datatype": "FP32"}
        tensor["parameters"] = {"binary_data_size": some.nbytes}
        head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
        with demo.settings.inference.client(60, headers) as client:
            answer = client.post("/predictions/segment", content=head + some.tobytes())
        size = int(answer.headers["inference-header-content-length"])
        outputs = {output["name"]: output for output in json.loads(answer.content[:size])["outputs"]}
        at = size
        for name, output in outputs.items():
            length = output["parameters"]["binary_data_size"]
            if name not in ("label", "score"):
                online = np.frombuffer(answer.content[at : at + length], "<f4").reshape(64, -1)
                assert np.array_equal(online, offline[start : start + 64])
            at += length


def test_other_company_moves_a_text_no_further_than_its_evidence_says(demo_archives, demo: Running, tmp_path):
    [sentiment] = [path for path in demo_archives if path.name.startswith("sentiment")]
    evidence = json.loads(sentiment.with_suffix("").with_name("sentiment-1.0.0.evidence.json").read_bytes())["summary"]
    texts = [f"{word} film, {'really ' * (at % 7)}{word} indeed" for at in range(12) for word in ("good", "bad", "odd")]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"id": at, "review": text}) + "\n" for at, text in enumerate(texts)))
    run(sentiment, path, "-o", tmp_path / "out", "--map", "text=review", "--keep", "id", "--outputs")
    table = read(tmp_path / "out")
    assert table["id"].to_pylist() == [str(at) for at in range(len(texts))]
    for at, text in enumerate(texts[:6]):
        online = demo.post("sentiment", json.dumps({"text": text}).encode()).json()["predictions"][0]
        assert online["label"] == table["prediction"][at].as_py()
        if evidence["batch_shift"] == 0:
            assert online["score"] == table["score"][at].as_py()


def test_images_in_a_folder_are_rows(demo_archives, tmp_path):
    from PIL import Image

    [digits] = [path for path in demo_archives if path.name.startswith("digits")]
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (8, 8), "white").save(folder / f"{name}.png")
    (folder / "c.png").write_bytes(b"no image")
    run(digits, folder, "-o", tmp_path / "out", "--keep", "path", "--scores")
    table = read(tmp_path / "out")
    assert [path.rsplit("/", 1)[1] for path in table["path"].to_pylist()] == ["a.png", "b.png", "c.png"]
    assert table["error"].to_pylist()[:2] == [None, None]
    assert table["error"][2].as_py().startswith("undecodable_body: not a readable image")
    assert len(table["scores"][0].as_py()) == 10


def test_a_server_scores_in_place_of_the_handler(segment, rows, demo: Running, tmp_path):
    run(segment, rows, "-o", tmp_path / "here", "--limit", 200)
    run(segment, rows, "-o", tmp_path / "there", "--limit", 200, "--endpoint", str(demo.settings.inference))
    here, there = read(tmp_path / "here"), read(tmp_path / "there")
    assert here["prediction"].to_pylist() == there["prediction"].to_pylist()
    assert np.allclose(here["score"].to_numpy(), there["score"].to_numpy(), atol=1e-5)


def test_what_a_person_sees(segment, rows, tmp_path, monkeypatch, capsys):
    def refused(source: object, *words: object) -> str:
        arguments = map(str, ("batch", segment, source, "-o", tmp_path / "none", *words))
        code, _, errors = program.run(*arguments, monkeypatch=monkeypatch, capsys=capsys)
        assert code == 1
        return errors

    estimate = run(segment, rows, "-o", tmp_path / "none", "--dry-run", "--price", 1).stdout
    assert "60,000 rows in" in estimate
    assert "CPU hours" in estimate
    assert "at the price given" in estimate
    assert not (tmp_path / "none").exists()
    csv = tmp_path / "rows.csv"
    csv.write_text("a,b\n1,2\n")
    errors = refused(csv)
    assert "missing columns: region-centroid-col" in errors
    assert "--map" in errors
    assert "no such file" in refused("nowhere.csv")
    assert "use one of local, ray" in refused(rows, "--engine", "spark")
    errors = run(segment, rows, "-o", tmp_path / "gpu", "--provider", "cuda", code=1).stderr
    assert "provider 'cuda' was asked for" in errors
    summary = run(segment, rows, "-o", tmp_path / "out", "--limit", 10, "--json").stdout
    assert json.loads(summary)["scored"] == 10


@pytest.fixture(scope="module")
def churn(demo_archives, tmp_path_factory):
    """The fourth model with its feature store, whose newest values are as of now."""
    [archive] = [path for path in demo_archives if path.name.startswith("churn")]
    folder = tmp_path_factory.mktemp("churn")
    repo = open_repo(CHURN, folder / "state")
    load(repo)
    features = start_features(repo, free_ports(1)[0])
    first_lookup(features.url, "churn_v1", ["customer_id"])
    os.environ["ONNXSERVE_FEATURES"] = features.url
    try:
        with running(folder / "server", [archive]) as server:
            yield archive, folder / "state", server, features
    finally:
        del os.environ["ONNXSERVE_FEATURES"]
        features.stop()


def ask(server: Running, document: object) -> httpx.Response:
    return server.post("churn", json.dumps(document).encode())


def test_keys_are_enough_online_and_a_file_joined_as_of_now_says_the_same(churn, tmp_path):
    archive, state, server, _ = churn
    newest = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=30 * 8)
    customers, basket = list(range(20)), [10.0 + at for at in range(20)]
    instances = [{"customer_id": customer, "basket": value} for customer, value in zip(customers, basket, strict=True)]
    online = ask(server, {"instances": instances})
    when = pa.array([newest + timedelta(days=1)] * 20, pa.timestamp("us", "UTC"))
    pq.write_table(
        pa.table({"customer_id": customers, "event_timestamp": when, "basket": basket}), tmp_path / "rows.parquet"
    )
    run(archive, tmp_path / "rows.parquet", "-o", tmp_path / "out", "--features", CHURN, "--state", state)
    offline = read(tmp_path / "out")
    assert online.status_code == 200, online.text
    assert "x-onnxserve-degraded" not in online.headers
    assert [prediction["label"] for prediction in online.json()["predictions"]] == offline["prediction"].to_pylist()
    assert [prediction["score"] for prediction in online.json()["predictions"]] == offline["score"].to_pylist()


def test_the_verbs_of_the_store_join_and_compare(churn, tmp_path):
    archive, state, _, features = churn
    when = [datetime(2026, 5, 1, 12, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)]
    times = pa.array(when, pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"customer_id": [3, 3], "event_timestamp": times}), tmp_path / "rows.parquet")
    verb = [sys.executable, "-m", "onnxserve", "features"]
    words = [str(archive), str(CHURN), str(tmp_path / "rows.parquet"), "--state", str(state)]
    joined = tmp_path / "joined.parquet"
    subprocess.run([*verb, "join", *words, "-o", str(joined)], cwd=ROOT, check=True, capture_output=True)
    table = pq.read_table(joined)
    assert table.column_names[:2] == ["customer_id", "event_timestamp"]
    known, unknown = table["tenure"].to_pylist()
    assert known > 0
    assert unknown is None, "nothing was known of them then"
    check = [*verb, "check", *words, "--url", features.url, "--json"]
    report = subprocess.run(check, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert json.loads(report) == {"entities": 1, "compared": 5, "differences": []}


def test_an_unknown_customer_is_422_and_the_others_are_answered(churn):
    _, _, server, _ = churn
    answer = ask(server, {"customer_id": 999_999, "basket": 3})
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "invalid_row")
    assert ask(server, {"customer_id": 1, "basket": 3}).status_code == 200


def test_a_store_that_is_gone_costs_accuracy_and_not_the_answer(churn):
    _, _, server, features = churn
    features.stop()
    answer = ask(server, {"customer_id": 777, "basket": 3})
    assert answer.status_code == 200
    assert answer.headers["x-onnxserve-degraded"] == "features"
    whole = ask(server, {"instances": [[40, 80, 6, 3, 0, 30]]})
    assert "x-onnxserve-degraded" not in whole.headers
