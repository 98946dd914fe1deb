"""Load shapes and the gate."""

import importlib.util
from types import ModuleType

import pytest

from tests import ROOT

FOLDER = ROOT / "loadtests"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"loadtests_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    import sys

    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


shapes, slo, rows = load("shapes"), load("slo"), load("rows")


@pytest.mark.parametrize("shape", ["steady", "ramp", "spike", "soak"])
def test_every_shape_ends_and_keeps_to_its_users(shape):
    plan = shapes.stages(shape, 20, 30)
    end = plan[-1].until
    users = [shapes.at(plan, second)[0] for second in range(end)]
    assert 1 <= min(users) <= max(users) <= 20
    assert shapes.at(plan, end) is None
    assert end == (1800 if shape == "soak" else 30)


def test_a_spike_rises_and_falls_and_an_unknown_shape_is_refused():
    plan = shapes.stages("spike", 20, 30)
    assert [shapes.at(plan, second)[0] for second in (0, 15, 25)] == [2, 20, 2]
    with pytest.raises(ValueError, match="choose steady"):
        shapes.stages("sideways", 1, 1)


def test_the_gate_counts_failures_slowness_and_silence():
    limit = slo.Objective(0.01, 100)
    assert slo.breaches("m", 1000, 10, 100, limit) == []
    assert "11 of 1000" in slo.breaches("m", 1000, 11, 100, limit)[0]
    assert "p99 is 101" in slo.breaches("m", 1000, 0, 101, limit)[0]
    assert "no request" in slo.breaches("m", 0, 0, 0, limit)[0]


@pytest.mark.parametrize("model", ["segment", "sentiment", "digits"])
def test_there_are_real_rows_for_every_user(model):
    assert len(rows.bodies(model)) >= 5
