"""The recent traffic: steps that have ended, exact quantiles of them, and a bounded memory."""

from __future__ import annotations

import collections
import json
from typing import Any

import pytest

from onnxserve.monitoring import traffic as traffics
from onnxserve.monitoring.traffic import STEP_S, STEPS, Traffic, quantiles

VERSION = ("demo", "1.0")


class Clock:
    """A clock that stands still; `now` is in steps."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now * STEP_S


def points(traffic: Traffic, since: int = 0) -> dict[str, Any]:
    """Return the points by version."""
    document = json.loads(traffic.document(since))
    return {version["version"]: version["points"] for version in document["versions"]}


def test_a_step_is_shown_once_it_has_ended():
    clock = Clock()
    traffic = Traffic(clock)
    traffic.add(VERSION, "200", 0.010, 98, refused=False)
    traffic.add(VERSION, "500", 0.500, 2, refused=False)
    traffic.add(VERSION, "429", 0.0, 7, refused=True)
    assert points(traffic) == {}
    clock.now += 1
    assert points(traffic) == {"1.0": [[1000, 107, 2, 7, 0.01, 0.01, 0.5]]}
    assert json.loads(traffic.document())["last"] == 1000
    assert points(traffic, since=1000) == {"1.0": []}


def test_steps_without_a_request_are_left_out_and_refused_requests_take_no_time():
    clock = Clock()
    traffic = Traffic(clock)
    traffic.add(VERSION, "200", 0.2, 1, refused=False)
    clock.now += 3
    traffic.add(VERSION, "503", 0.0, 1, refused=True)
    clock.now += 1
    assert points(traffic) == {"1.0": [[1000, 1, 0, 0, 0.2, 0.2, 0.2], [1003, 1, 0, 1, None, None, None]]}


def test_an_hour_of_steps_is_kept_and_no_more():
    clock = Clock()
    traffic = Traffic(clock)
    for _ in range(STEPS + 10):
        traffic.add(VERSION, "200", 0.1, 1, refused=False)
        clock.now += 1
    kept = points(traffic)["1.0"]
    assert len(kept) == STEPS
    assert kept[-1][0] == clock.now - 1
    clock.now += STEPS
    assert points(traffic) == {"1.0": []}


def test_versions_beyond_a_bound_are_not_kept(monkeypatch):
    monkeypatch.setattr(traffics, "MOST_VERSIONS", 2)
    clock = Clock()
    traffic = Traffic(clock)
    for version in ("1.0", "2.0", "3.0", "1.0"):
        traffic.add(("demo", version), "200", 0.1, 1, refused=False)
    clock.now += 1
    assert {version: kept[0][1] for version, kept in points(traffic).items()} == {"1.0": 2, "2.0": 1}


def test_versions_that_were_retired_make_room_for_new_ones(monkeypatch):
    monkeypatch.setattr(traffics, "MOST_VERSIONS", 2)
    clock = Clock()
    traffic = Traffic(clock)
    for version in ("1.0", "2.0"):
        traffic.add(("demo", version), "200", 0.1, 1, refused=False)
    clock.now += STEPS
    traffic.add(("demo", "2.0"), "200", 0.1, 1, refused=False)
    clock.now += 1
    traffic.add(("demo", "3.0"), "200", 0.1, 1, refused=False)
    clock.now += 1
    assert points(traffic).keys() == {"2.0", "3.0"}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, [None, None, None]),
        ({0.1: 1}, [0.1, 0.1, 0.1]),
        ({0.3: 1, 0.1: 9, 0.2: 90}, [0.2, 0.2, 0.2]),
        ({1.0: 50, 2.0: 50}, [1.0, 2.0, 2.0]),
    ],
)
def test_quantiles_are_values_that_came(counts, expected):
    assert quantiles(collections.Counter(counts), (0.5, 0.9, 0.99)) == expected
