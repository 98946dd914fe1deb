"""Canaries that move by themselves and shadows that are compared, through real Envoy and nginx."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from onnxserve.config import free_ports
from onnxserve.edge import Auto, Canary, Edge, Intent, Labels, Model, Share, Traffic
from onnxserve.edge.intent import Listen
from onnxserve.edge.pressure import Pressure, pressures
from onnxserve.edge.processes import start
from onnxserve.management import Management
from onnxserve.release import History, Pilot, Release
from onnxserve.release.shadows import read_reports
from tests.fakes import FakeTorchServe
from tests.upstream import Upstream, listening

LABELS = Labels({"demo": Model({"1.0": "a" * 64, "2.0": "b" * 64}, "1.0")})
AUTO = Auto((30.0, 70.0), requests=150, seconds=0, false_alarm=0.05)


@dataclass
class Server:
    """An edge with its release steps, its pilot and what stands behind it."""

    url: str
    release: Release
    pilot: Pilot
    upstream: Upstream
    state: Path

    def load(self, until: Callable[[], bool], most: int = 3_000) -> Counter[tuple[int, str]]:
        """Requests, and looks of the pilot, until something has happened; (status, version) of each."""
        seen: Counter[tuple[int, str]] = Counter()
        with httpx.Client(base_url=self.url, trust_env=False, timeout=10) as http:
            for number in range(most):
                answer = http.post("/predictions/demo", content=f"[{number}]".encode())
                seen[answer.status_code, answer.headers.get("x-onnxserve-version", "")] += 1
                if number % 50 == 49:
                    self.pilot.tick()
                    if until():
                        return seen
        raise AssertionError(f"it did not happen: {seen}")

    @property
    def model(self) -> Model:
        return self.release.traffic.labels.models["demo"]


def predicted(path: str, label: str = "a") -> tuple[int, bytes]:
    version = path.rsplit("/", 1)[1]
    return 200, json.dumps({"predictions": [{"label": label, "score": 0.9}], "version": version}).encode()


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    with listening(Upstream(lambda path, _: predicted(path))) as upstream:
        port, metrics = free_ports(2)
        intent = Intent(listen=Listen(port=port, metrics_port=metrics))
        edge = Edge(intent, (tmp_path / "edge").resolve(), upstream.port, upstream.port)
        door = start(edge, LABELS)
        try:
            traffic = Traffic(tmp_path)
            traffic.started(edge)
            traffic.move(lambda _: LABELS)
            fake = FakeTorchServe(["1.0", "2.0"])
            management = Management("http://fake", transport=fake.transport())
            release = Release(management, History(tmp_path), tmp_path / "store", traffic)
            yield Server(edge.url, release, Pilot(release, tmp_path), upstream, tmp_path)
        finally:
            door.stop()


def test_a_harmless_canary_climbs_its_steps_and_becomes_stable(server):
    server.release.canary("demo", Canary("2.0", 30, auto=AUTO))
    seen = server.load(lambda: server.model.stable == "2.0")
    assert {status for status, _ in seen} == {200}
    assert {version for _, version in seen} == {"1.0", "2.0"}
    events = server.release.history.events("demo")
    assert [event.action for event in events] == ["canary", "canary", "promote"]
    assert "demo canary: 2.0 at 30 %, automatic -> 2.0 at 70 %, automatic" in events[1].changes
    assert any("answers of 2.0" in line for line in events[2].changes)
    kept = sorted(path.suffix for path in (server.state / "canaries").iterdir())
    assert kept == [".json", ".svg"]


def test_a_failing_canary_is_taken_back_and_no_client_notices(server):
    server.upstream.answer = lambda path, _: (500, b"{}") if path.endswith("2.0") else predicted(path)
    server.release.canary("demo", Canary("2.0", 30, auto=AUTO))
    seen = server.load(lambda: server.model.canary is None)
    assert {status for status, _ in seen} == {200}
    assert server.model.stable == "1.0"
    last = server.release.history.events("demo")[-1]
    assert last.action == "rollback"
    assert any(line.startswith("errors: canary") for line in last.changes)


def test_a_canary_that_says_other_labels_is_taken_back(server):
    server.upstream.answer = lambda path, _: predicted(path, "b" if path.endswith("2.0") else "a")
    server.release.canary("demo", Canary("2.0", 50, auto=Auto((50.0,), requests=10_000, seconds=0)))
    server.load(lambda: server.model.canary is None)
    assert any(line.startswith("label: canary") for line in server.release.history.events("demo")[-1].changes)


def test_a_restarted_pilot_goes_on_with_the_course(server):
    server.release.canary("demo", Canary("2.0", 30, auto=AUTO))
    server.load(lambda: server.model.canary is not None and server.model.canary.percent == 70)
    server.pilot = Pilot(server.release, server.state)
    server.load(lambda: server.model.stable == "2.0")


def test_a_busy_model_gives_up_one_thing_after_another_and_gets_them_back(server, monkeypatch):
    monkeypatch.setattr("onnxserve.release.pilot.pressures", lambda *_: {"demo": Pressure(0.9, 0)})
    server.release.smaller("demo", "2.0")

    def ask() -> httpx.Response:
        return httpx.post(f"{server.url}/predictions/demo", content=b"[1]", trust_env=False)

    def climb(to: int) -> None:
        while server.model.level != to:
            server.pilot.tick()

    climb(2)
    assert [ask().headers.get("x-onnxserve-degraded") for _ in range(2)] == [None, "cache"]
    climb(3)
    answer = ask()
    assert (answer.json()["version"], answer.headers["x-onnxserve-degraded"]) == ("2.0", "smaller")
    monkeypatch.setattr("onnxserve.release.pilot.pressures", lambda *_: {"demo": Pressure(0.1, 0)})
    climb(0)
    assert (ask().json()["version"], ask().headers.get("x-onnxserve-degraded")) == ("1.0", None)
    assert [event.action for event in server.release.history.events("demo")].count("brown-out") == 6


def test_the_pressure_is_what_envoy_counts(server):
    server.upstream.delay_s = 1.5
    edge, labels = server.release.traffic.edge(), server.release.traffic.labels
    assert edge is not None
    with ThreadPoolExecutor(20) as pool:
        asked = [
            pool.submit(httpx.post, f"{server.url}/predictions/demo", content=b"[1]", timeout=20) for _ in range(20)
        ]
        deadline = time.monotonic() + 0.9
        while pressures(edge, labels)["demo"].share < 0.2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert pressures(edge, labels)["demo"] == Pressure(0.2, 0)
        assert {one.result().status_code for one in asked} == {200}
    assert pressures(edge, labels)["demo"].share == 0


def test_a_shadows_disagreements_are_listed_with_their_inputs(server):
    odd = lambda path, body: predicted(path, "b" if path.endswith("2.0") and json.loads(body)[0] % 10 == 0 else "a")  # noqa: E731
    server.upstream.answer = odd
    server.release.shadow("demo", Share("2.0", 100))

    def enough() -> bool:
        return any(report.pairs >= 100 for report in read_reports(server.state, "demo"))

    seen = server.load(enough)
    assert set(seen) == {(200, "1.0")}
    [report] = read_reports(server.state, "demo")
    assert 0.05 * report.pairs < report.disagreements < 0.15 * report.pairs
    assert report.failed == 0
    for case in report.cases:
        assert json.loads(case.body)[0] % 10 == 0
        assert (case.stable, case.shadow) == (["a"], ["b"])
