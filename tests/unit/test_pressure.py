"""How full models are, by what TorchServe and the gateway count."""

from __future__ import annotations

from onnxserve.gateway import Labels, Model
from onnxserve.gateway.pressure import Pressure, Pressures
from onnxserve.management import Management
from tests.fakes import FakeTorchServe

LABELS = Labels({"demo": Model({"1.0": "a" * 64, "2.0": "b" * 64}, "1.0")})


def test_the_fullest_version_counts_and_refusals_of_all():
    waiting = {"demo": {"1.0": 100, "2.0": 50}}
    look = Pressures(waiting.__getitem__, {"demo": 7}.__getitem__, 200)
    assert look(LABELS) == {"demo": Pressure(0.5, 7)}


def test_a_model_without_versions_is_not_full():
    assert Pressures(lambda _: {}, lambda _: 0, 8)(LABELS) == {"demo": Pressure(0.0, 0)}


def test_waiting_requests_are_those_of_the_management_api():
    fake = FakeTorchServe(["1.0", "2.0"])
    fake.pending = 3
    assert Management("http://fake", transport=fake.transport()).pending("demo") == {"1.0": 3, "2.0": 3}
