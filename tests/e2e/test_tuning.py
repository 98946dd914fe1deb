"""`onnxserve tune load` against real servers, shortened."""

from __future__ import annotations

import math

import pytest

from onnxserve.archive import check_archive, read_config
from onnxserve.torchserve import Settings
from onnxserve.tuning import Plan, tune, write_tuning
from onnxserve.tuning.live import point_of
from tests.helpers.torchserve import ROOT


@pytest.fixture
def plan(archive, tmp_path, monkeypatch) -> Plan:
    import importlib

    steps = importlib.import_module("onnxserve.tuning.tuner")
    monkeypatch.setattr(steps, "SHORTLIST", 2)
    live = importlib.import_module("onnxserve.tuning.live")
    monkeypatch.setattr(live, "WARM_S", 0.5)
    monkeypatch.setattr(live, "FRONTEND_S", 1.0)
    monkeypatch.setattr(importlib.import_module("onnxserve.tuning.search"), "HALVINGS", 1)
    copy = tmp_path / archive.name
    copy.write_bytes(archive.read_bytes())
    return Plan(copy, 2000, Settings(ROOT / "config.properties", state=tmp_path / "state"), 2, 0.5, 2)


def test_a_choice_is_measured_written_and_resumed(plan):
    seen: list[str] = []
    tuning, measured = tune(plan, lambda what, done, total: seen.append(f"{what} {done}/{total}"))
    assert tuning.requests_per_second > 0
    assert tuning.low <= tuning.requests_per_second <= tuning.high < math.inf
    assert tuning.rounds == 2
    assert tuning.before == point_of(read_config(plan.archive), plan.cpus)
    assert 0 < tuning.before_requests_per_second <= tuning.requests_per_second
    assert len(seen) > 4
    runs = sum(len(point.runs) for point in measured.rounds)

    again, repeated = tune(plan, lambda what, done, total: None)
    assert again == tuning
    assert sum(len(point.runs) for point in repeated.rounds) == runs

    digest = write_tuning(plan.archive, tuning, measured)
    assert check_archive(plan.archive).sha256 == digest
    assert read_config(plan.archive)["batchSize"] == tuning.point.batch
    assert (plan.archive.parent / "circle-1.0.0.report.html").is_file()
