"""Targets and their verdicts."""

import pytest

from benchmarks.plan import Plan
from benchmarks.rivals import LIMITS, servers
from benchmarks.summary import Summary
from benchmarks.targets import TARGETS, Target, target_table
from tests.helpers.measurements import measurement


@pytest.mark.parametrize(
    ("target", "ratio", "reached"),
    [
        (Target("default", "mosec", 64, 1.2), 1.3, True),
        (Target("default", "mosec", 64, 1.2), 1.1, False),
        (Target("default", "fastapi", 1, 1.4, "p50_ms"), 1.3, True),
        (Target("default", "fastapi", 1, 1.4, "p50_ms"), 1.5, False),
    ],
)
def test_speed_has_a_lower_bound_and_latency_an_upper_one(target, ratio, reached):
    assert target.reached(ratio) is reached


def test_targets_name_servers_and_numbers_of_clients_that_are_measured():
    for model, targets in TARGETS.items():
        for target in targets:
            assert {target.over, target.under} <= {server.name for server in servers(model)} | LIMITS.keys()
            assert target.clients in Plan.clients


def test_targets_have_verdicts_and_costs_and_say_when_they_were_not_measured():
    runs = [measurement("default", 600), measurement("direct", 1000), measurement("mosec", 1000)]
    runs += [measurement("default", 50, 1, p50=0.4), measurement("fastapi", 40, 1, p50=0.3)]
    rows = "\n".join(target_table("segment", Summary(runs)))
    assert "default path / without gateway, requests/s, 64 clients | ≥ 0.55 | 0.60 [0.60-0.60] | 40.0 % | yes |" in rows
    assert "default path / mosec, requests/s, 64 clients | ≥ 1.20 | 0.60 [0.60-0.60] | 40.0 % | **no** |" in rows
    assert "default path / FastAPI, onnxruntime, p50, 1 client | ≤ 1.40 | 1.33 [1.33-1.33] | - | yes |" in rows
    assert "default path / Triton, Python backend, requests/s, 64 clients | ≥ 1.20 | - | - | not measured |" in rows
