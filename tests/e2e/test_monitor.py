"""A real Prometheus asks a server that `serve` started; and rows that differ from the proof raise an alarm."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import yaml

from onnxserve.archive import open_archive, writable
from onnxserve.gateway import GatewayConfig, Model, Roles, RoleStore
from onnxserve.monitoring.dashboard import expressions
from onnxserve.processes import bound
from onnxserve.release import History, ReleaseService
from onnxserve.release.brownout import Pressure, Pressures
from onnxserve.torchserve import Management, Settings, free_ports
from tests.helpers import plain_http
from tests.helpers.blocking_model import CAPACITY, gate_of, write_archive
from tests.helpers.interrupted import interrupt
from tests.helpers.serving import serving, settings_in
from tests.helpers.torchserve import ROOT, Running

RULES = ROOT / "deploy" / "prometheus"
NAME = re.compile(r"\bonnxserve_\w+")
# Of Java and TorchServe.
LAUNCHER = ("WARNING:", "Warning:", "Picked up ", "NOTE: Picked up ", "nvidia-smi not", "Model server st")
# Made by Prometheus of a histogram's or counter's own name.
PARTS = ("_bucket", "_sum", "_count", "_total")
WAIT_S = 180


@dataclass(frozen=True)
class Seen:
    url: str
    metrics: str
    settings: Settings
    pid: int

    @property
    def state(self) -> Path:
        return self.settings.state

    def page(self, until: Callable[[str], bool] = lambda _: True) -> str:
        """All counters, once they say what they should: those of workers come within half a second, others in two."""
        time.sleep(0.6)
        deadline = time.monotonic() + WAIT_S
        while True:
            text = plain_http.get(f"{self.metrics}/metrics", timeout=10).raise_for_status().text
            if until(text) or time.monotonic() > deadline:
                return text
            time.sleep(0.1)

    def ask(self, rows: list[list[float]]) -> httpx.Response:
        return plain_http.post(f"{self.url}/predictions/circle", json={"instances": rows}, timeout=30)


@pytest.fixture(scope="module")
def seen(archive, tmp_path_factory) -> Iterator[Seen]:
    """What `onnxserve serve` starts, with everything watched."""
    folder = tmp_path_factory.mktemp("seen")
    settings = settings_in(folder, [archive], "[predictions]\npercent = 100.0\nredact = ['y']\n")
    with serving(settings, folder, "--warm-up", "0") as server:
        yield Seen(server.url, server.console, settings, server.process.pid)


def counted(text: str, name: str, **labels: str) -> float:
    """The sum of a metric's series that have these labels."""
    parts = [f'{key}="{value}"' for key, value in labels.items()]
    lines = [line for line in text.splitlines() if line.startswith(name + "{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(part in line for part in parts))


def test_requests_are_counted_by_outcome_and_timed_by_stage(seen):
    for _ in range(5):
        assert seen.ask([[0.0, 0.1], [2.0, 2.0]]).status_code == 200
    assert seen.ask([[0.0]]).status_code == 422
    text = seen.page(lambda now: counted(now, "onnxserve_gateway_requests_total", model="circle") == 6)
    assert counted(text, "onnxserve_gateway_requests_total", model="circle", version="1.0.0", code="200") == 5
    assert counted(text, "onnxserve_gateway_requests_total", model="circle", version="1.0.0", code="422") == 1
    assert counted(text, "onnxserve_gateway_request_seconds_count", model="circle") == 6
    assert counted(text, "onnxserve_requests_total", model="circle", outcome="ok") >= 5
    assert counted(text, "onnxserve_requests_total", model="circle", outcome="invalid_row") == 1
    for stage in ("queue", "preprocess", "inference", "postprocess"):
        assert counted(text, "onnxserve_stage_seconds_count", stage=stage) >= 5, stage
    assert 0 < counted(text, "onnxserve_stage_seconds_sum", stage="queue") < 5
    assert counted(text, "onnxserve_worker_info", provider="CPUExecutionProvider") == 1


def test_a_real_prometheus_scrapes_the_page_and_takes_the_rules(seen, tmp_path):
    binary = shutil.which("prometheus")
    assert binary, "apt-get install prometheus"
    [port] = free_ports(1)
    config = yaml.safe_load((RULES / "prometheus.yaml").read_text())
    config["global"]["scrape_interval"] = "1s"
    del config["alerting"]
    config["rule_files"] = [str(RULES / "rules.yaml")]
    for job in config["scrape_configs"]:
        job["static_configs"] = [{"targets": [seen.metrics.removeprefix("http://")]}]
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(config))
    command = [binary, f"--config.file={tmp_path / 'prometheus.yaml'}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    process = subprocess.Popen(
        bound([*command, f"--web.listen-address=127.0.0.1:{port}"], signal.SIGTERM),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    api = f"http://127.0.0.1:{port}/api/v1"
    try:
        deadline, up = time.monotonic() + WAIT_S, dict[str, str]()
        while set(up.values()) != {"1"}:
            assert time.monotonic() < deadline, up
            time.sleep(0.5)
            with contextlib.suppress(httpx.HTTPError):
                answer = plain_http.get(f"{api}/query", params={"query": "up"}).json()
                up = {series["metric"]["job"]: series["value"][1] for series in answer["data"]["result"]}
        assert set(up) == {"onnxserve"}
        query = 'sum(onnxserve_requests_total{model="circle"})'
        answer = plain_http.get(f"{api}/query", params={"query": query}).json()
        assert float(answer["data"]["result"][0]["value"][1]) >= 1
        groups = plain_http.get(f"{api}/rules").json()["data"]["groups"]
        assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}
    finally:
        interrupt(process)


def test_what_was_asked_and_answered_is_kept_without_what_must_not_be(seen):
    answer = seen.ask([[0.25, 0.5]])
    folder, deadline = seen.state / "predictions" / "circle" / "1.0.0", time.monotonic() + WAIT_S
    kept: list[dict[str, object]] = []
    while not kept:
        assert time.monotonic() < deadline
        time.sleep(0.5)
        rows = ds.dataset(folder, format="parquet").to_table().to_pylist() if folder.exists() else []
        kept = [row for row in rows if row["input"] and "0.25" in row["input"]]
    assert json.loads(str(kept[0]["input"])) == {"x": 0.25, "y": "redacted"}
    assert kept[0]["label"] == "inside"
    assert kept[0]["request_id"] == answer.headers["x-request-id"]


def test_labels_that_come_late_give_the_accuracy_of_each_version(seen, tmp_path):
    answers = [(seen.ask([[0.0, 0.1], [3.0, 3.0]]), ["inside", "outside"]) for _ in range(20)]
    answers.append((seen.ask([[0.0, 0.0]]), ["outside"]))  # the truth was another
    ids = [(answer.headers["x-request-id"], row, label) for answer, truth in answers for row, label in enumerate(truth)]
    columns = dict(zip(("request_id", "row", "label"), map(list, zip(*ids, strict=True)), strict=True))
    columns["request_id"].append("of nobody")
    columns["row"].append(0)
    columns["label"].append("inside")
    labels = tmp_path / "labels.parquet"
    pq.write_table(pa.table(columns), labels)
    deadline = time.monotonic() + WAIT_S
    words = ["monitor", "accuracy", "circle", str(labels), "--state", str(seen.state), "--json"]
    words += ["--gateway-file", str(seen.state.parent / "gateway.toml")]
    accuracies: list[dict[str, object]] = []
    while not accuracies or accuracies[0]["rows"] != 41:
        assert time.monotonic() < deadline, accuracies
        time.sleep(1)
        command = [sys.executable, "-m", "onnxserve", *words]
        completed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        accuracies = json.loads(completed.stdout) if completed.returncode == 0 else []
    [accuracy] = accuracies
    assert (accuracy["version"], accuracy["rows"], accuracy["right"], accuracy["unmatched"]) == ("1.0.0", 41, 40, 1)
    assert accuracy["low"] < accuracy["accuracy"] < accuracy["high"]  # type: ignore[operator]


def test_rows_like_the_proofs_raise_no_alarm_and_others_do(seen):
    [definition] = [json.loads(line) for line in proof(seen)]
    draws = np.random.default_rng(8)
    usual = [definition[at] for at in draws.integers(0, len(definition), 3000)]
    windows = flood(seen, usual)
    text = seen.page()
    assert counted(text, "onnxserve_drift_alarms_total", model="circle") == 0
    assert 0.5 < counted(text, "onnxserve_score_mean", model="circle") <= 1
    assert counted(text, "onnxserve_score_changes_total", model="circle") == 0
    flood(seen, [[x + 0.8, y] for x, y in usual], windows + 1)
    text = seen.page()
    assert counted(text, "onnxserve_drift_alarms_total", model="circle") >= 1
    assert counted(text, "onnxserve_drift", measure="x", stat="psi") > 0.2
    edge = np.linspace(0, 6.28, 60)
    for _ in range(20):  # rows that the model is unsure of
        assert seen.ask(np.stack([np.cos(edge), np.sin(edge)], axis=1).tolist()).status_code == 200
        time.sleep(0.055)
    changes = partial(counted, name="onnxserve_score_changes_total", model="circle")
    assert changes(seen.page(lambda now: changes(now) >= 1)) >= 1


def test_every_line_of_the_servers_log_is_an_event_in_json(seen):
    lines = (seen.state / "torchserve.log").read_text().splitlines()
    events = [json.loads(line) for line in lines if not line.startswith(LAUNCHER)]
    assert {"time", "level", "logger", "message"} <= set.intersection(*(set(event) for event in events))
    [ready] = [event for event in events if "ready on" in event["message"]]
    assert (ready["model"], ready["version"], ready["level"]) == ("circle", "1.0.0", "INFO")


def test_no_process_of_a_server_listens_off_loopback(seen):
    serve = psutil.Process(seen.pid)
    names, places = set[str](), set[str]()
    for process in (serve, *serve.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            names.add(process.name())
            places |= {
                connection.laddr.ip
                for connection in process.net_connections("inet")
                if connection.status == psutil.CONN_LISTEN
            }
    assert {"java", "nginx"} <= names
    assert places
    assert all(ipaddress.ip_address(place.removeprefix("::ffff:")).is_loopback for place in places), places


def proof(seen: Seen) -> list[str]:
    """The rows that the archive was proven with, as one line."""
    [archive] = seen.settings.store.glob("circle-*.mar")
    with open_archive(archive) as opened:
        lines = opened.read("proof.jsonl").splitlines()
    return [json.dumps([json.loads(line)["input"] for line in lines])]


def flood(seen: Seen, rows: list[list[float]], windows: float = 1.0) -> float:
    """Send rows until so many windows are judged; how many there are."""
    deadline, at = time.monotonic() + WAIT_S, 0
    while (judged := counted(seen.page(), "onnxserve_drift_windows_total", model="circle")) < windows:
        assert time.monotonic() < deadline
        for _ in range(10):
            some = [rows[(at + place) % len(rows)] for place in range(60)]
            at += 60
            assert seen.ask(some).status_code == 200
            time.sleep(0.055)
    return judged


def test_rules_and_dashboard_speak_of_metrics_that_are_there(seen):
    seen.ask([[0.0, 0.1]])
    there = set(NAME.findall(seen.page(lambda now: "onnxserve_gateway_request_seconds_bucket" in now)))
    used = set(NAME.findall(" ".join(expressions()) + (RULES / "rules.yaml").read_text()))
    missing = {
        metric
        for metric in used
        if metric not in there and not any(metric.removesuffix(part) in there for part in PARTS)
    }
    # Not of this model or this configuration: texts have lengths, TLS has certificates.
    assert missing <= {
        "onnxserve_row_length_bucket",
        "onnxserve_padding_share_sum",
        "onnxserve_padding_share_count",
        "onnxserve_gateway_certificate_expiry_timestamp_seconds",
    }


def test_the_pressure_is_what_waits_in_torchserve(seen):
    settings = seen.settings
    management = Management(settings.management)
    look = Pressures(management.queues, lambda _: 0, GatewayConfig().limits.concurrency)
    roles = Roles({name: Model({"1.0.0": "a" * 64}, "1.0.0") for name in ("circle", "gate")})
    release = ReleaseService(management, History(settings.state), settings.store, RoleStore(settings.state))
    folder = settings.store.parent / "gate"
    own_store = settings.state / "store"  # the server's own
    with writable(own_store):
        management.register(write_archive(own_store / "gate-1.0.0.mar", "gate", folder).name)
    management.wait_ready("gate", "1.0.0", 60)
    with gate_of(Running(settings, release), "gate", folder) as gate:
        with gate.held():
            waiting = gate.queue(20, "row")
            assert look(roles) == {"circle": Pressure(0.0, 0), "gate": Pressure(20 / CAPACITY, 0)}
        assert {request.result().status_code for request in waiting} == {200}
    assert look(roles)["gate"].share == 0
