"""Canaries that move by themselves and shadows that are compared, through a real nginx."""

from __future__ import annotations

import errno
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from onnxserve.errors import ReleaseError
from onnxserve.gateway import Auto, Canary, Gateway, Model, Roles, RoleStore, Share
from onnxserve.gateway.config import Limits
from onnxserve.release import History, ReleaseService
from onnxserve.release.brownout import UP_AFTER, Ladder, Pressure, Pressures
from onnxserve.release.controller import Controller
from onnxserve.release.shadows import read_reports
from onnxserve.torchserve import Management
from tests.helpers import plain_http
from tests.helpers.fakes import FakeTorchServe
from tests.helpers.gateway import client_of, config, gateway_of
from tests.helpers.observed import observing
from tests.helpers.upstream import Upstream, listening

LABELS = Roles({"demo": Model({"1.0": "a" * 64, "2.0": "b" * 64}, "1.0")})
AUTO = Auto((30.0, 70.0), requests=150, seconds=0, false_alarm=0.05)


@dataclass
class Server:
    """A gateway with its release steps, its controller and what stands behind it; `busy` is how full its model is."""

    gateway: Gateway
    release: ReleaseService
    controller: Controller
    upstream: Upstream
    state: Path
    busy: list[float]

    @property
    def url(self) -> str:
        return self.gateway.url

    def post(self, body: bytes = b"[1]") -> httpx.Response:
        return plain_http.post(f"{self.url}/predictions/demo", content=body, timeout=20)

    def load(self, until: Callable[[], bool], most: int = 3_000) -> Counter[tuple[int, str]]:
        """Requests, and looks of the controller, until something has happened; (status, version) of each."""
        seen: Counter[tuple[int, str]] = Counter()
        with plain_http.client(base_url=self.url, timeout=10) as http:
            for number in range(most):
                answer = http.post("/predictions/demo", content=f"[{number}]".encode())
                seen[answer.status_code, answer.headers.get("x-onnxserve-version", "")] += 1
                if number % 50 == 49:
                    self.controller.tick()
                    if until():
                        return seen
        raise AssertionError(f"it did not happen: {seen}")

    @property
    def model(self) -> Model:
        return self.release.role_store.roles.models["demo"]


def predicted(path: str, label: str = "a") -> tuple[int, bytes]:
    version = path.rsplit("/", 1)[1]
    return 200, json.dumps({"predictions": [{"label": label, "score": 0.9}], "version": version}).encode()


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    with listening(Upstream(lambda path, _: predicted(path))) as upstream:
        gateway = gateway_of(config(limits=Limits(concurrency=4)), tmp_path, upstream.port)
        with client_of(gateway, LABELS):
            traffic = RoleStore(tmp_path)
            traffic.record_start(gateway)
            traffic.move(lambda _: LABELS)
            management = Management("http://fake", transport=FakeTorchServe(["1.0", "2.0"]).transport())
            release, busy = ReleaseService(management, History(tmp_path), tmp_path / "store", traffic), [0.1]
            controller = Controller(
                release, tmp_path, Ladder(lambda _: {"demo": Pressure(busy[0], 0)}, keeps_answers=True)
            )
            yield Server(gateway, release, controller, upstream, tmp_path, busy)


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


def test_a_canary_whose_columns_are_others_is_taken_back_for_its_refusals(server):
    server.upstream.answer = lambda path, _: (422, b'{"error":{}}') if path.endswith("2.0") else predicted(path)
    server.release.canary("demo", Canary("2.0", 30, auto=AUTO))
    server.load(lambda: server.model.canary is None)
    assert server.model.stable == "1.0"
    assert any(line.startswith("refused: canary") for line in server.release.history.events("demo")[-1].changes)


def test_a_canary_that_was_ended_by_hand_begins_anew(server):
    begin = lambda: server.release.canary("demo", Canary("2.0", 30, auto=AUTO))  # noqa: E731
    begin()
    server.load(lambda: server.model.canary is not None and server.model.canary.percent == 70)
    server.release.rollback("demo")
    begin()
    server.controller.tick()
    assert server.model.stable == "1.0"
    assert server.model.canary is not None
    assert server.model.canary.percent == 30
    [record] = (server.state / "canaries").glob("*.json")
    assert record.name.endswith("-ended-by-hand.json")
    seen = server.load(lambda: server.model.stable == "2.0")
    assert seen[200, "2.0"] >= 2 * AUTO.requests


def test_a_full_disk_keeps_no_canary_from_being_judged_and_no_model_from_giving_something_up(server, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("onnxserve.release.controller.replace_file", full)
    server.upstream.answer = lambda path, _: (500, b"{}") if path.endswith("2.0") else predicted(path)
    server.busy[0] = 0.9
    server.release.canary("demo", Canary("2.0", 30, auto=AUTO))
    server.load(lambda: server.model.canary is None and server.model.level > 0)
    assert server.model.stable == "1.0"


def test_what_was_decided_of_a_canary_that_has_ended_is_not_done(server):
    server.release.canary("demo", Canary("2.0", 30, auto=AUTO))
    before = server.model.canary
    server.release.rollback("demo")
    server.release.canary("demo", Canary("2.0", 5))
    for late in (
        lambda: server.release.canary("demo", before),
        lambda: server.release.promote("demo", canary_id=before.id),
        lambda: server.release.rollback("demo", canary_id=before.id),
    ):
        with pytest.raises(ReleaseError, match="ended meanwhile"):
            late()
    assert (server.model.stable, server.model.canary.percent) == ("1.0", 5)


def test_an_automatic_canary_is_refused_where_no_controller_runs(server):
    share = Canary("2.0", 30, auto=AUTO)
    server.controller.close()
    with pytest.raises(ReleaseError, match="nothing would control"):
        server.release.canary("demo", share)
    assert server.release.canary("demo", share, plan=True)
    server.controller = Controller(server.release, server.state)
    server.release.role_store.record_stop()
    with pytest.raises(ReleaseError, match="nothing would control"):
        server.release.canary("demo", share)
    server.release.role_store.record_start(server.gateway)
    server.release.canary("demo", share)
    assert server.model.canary is not None


def test_a_canary_whose_answers_can_not_be_compared_is_held_and_that_is_said(server):
    server.release.canary("demo", Canary("2.0", 99, auto=Auto((99.0,), requests=100, seconds=0)))
    lines: list[str] = []
    tick = server.controller.tick
    server.controller.tick = lambda: lines.extend(tick())
    server.load(lambda: any("held at 99 %" in line for line in lines))
    assert server.model.stable == "1.0"
    assert (
        "demo: 2.0 is held at 99 %: 1.0 and 2.0 gave too few computed answers at the same time to be compared" in lines
    )


def test_a_restarted_controller_continues_the_rollout(server):
    server.release.canary("demo", Canary("2.0", 30, auto=AUTO))
    server.load(lambda: server.model.canary is not None and server.model.canary.percent == 70)
    server.controller.close()
    server.controller = Controller(server.release, server.state)
    server.load(lambda: server.model.stable == "2.0")


def test_a_busy_model_gives_up_one_thing_after_another_and_gets_them_back(server):
    server.busy[0] = 0.9
    server.release.smaller("demo", "2.0")

    def climb(to: int) -> None:
        while server.model.level != to:
            server.controller.tick()

    climb(2)
    assert [server.post().headers.get("x-onnxserve-degraded") for _ in range(2)] == [None, "cache"]
    climb(3)
    answer = server.post()
    assert (answer.json()["version"], answer.headers["x-onnxserve-degraded"]) == ("2.0", "smaller")
    server.busy[0] = 0.1
    climb(0)
    assert (server.post().json()["version"], server.post().headers.get("x-onnxserve-degraded")) == ("1.0", None)
    assert [event.action for event in server.release.history.events("demo")].count(
        "brown-out"
    ) == 4  # 2, 3, 2, 0: there is no shadow


def test_requests_that_the_gateway_refuses_make_a_model_give_something_up(server):
    server.upstream.delay_s = 0.3
    with observing(server.gateway) as watched, ThreadPoolExecutor(16) as pool:
        pressures = Pressures(server.release.management.queues, watched.observer.refusals, 4)
        controller, refused = Controller(server.release, server.state, Ladder(pressures, keeps_answers=True)), 0
        for look in range(2 * UP_AFTER):
            bodies = [f"[{look}, {number}]".encode() for number in range(16)]
            refused += [answer.status_code for answer in pool.map(server.post, bodies)].count(429)
            watched.samples(lambda _: watched.observer.refusals("demo") == refused)  # noqa: B023 - called at once
            controller.tick()
        assert refused > 0
        assert watched.observer.refusals("demo") == refused
        assert server.model.level >= 1


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
        assert json.loads(case.rows)[0][0] % 10 == 0
        assert (case.stable, case.shadow) == (["a"], ["b"])
