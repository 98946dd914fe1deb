"""How full models are, by what TorchServe and the gateway count."""

from __future__ import annotations

from onnxserve.gateway import Model, Roles
from onnxserve.release.brownout import Pressure, Pressures
from onnxserve.torchserve import Management
from onnxserve.torchserve.model_version import Queue
from tests.helpers.fakes import FakeTorchServe

LABELS = Roles({"demo": Model({"1.0": "a" * 64, "2.0": "b" * 64}, "1.0")})


def test_the_fullest_version_counts_and_refusals_of_all():
    waiting = {"demo": {"1.0": Queue(900, 100), "2.0": Queue(950, 50)}}
    look = Pressures(waiting.__getitem__, {"demo": 7}.__getitem__, 200)
    assert look(LABELS) == {"demo": Pressure(0.5, 7)}


def test_a_queue_that_has_room_for_few_is_full_with_few():
    waiting = {"demo": {"1.0": Queue(5, 15)}}
    assert Pressures(waiting.__getitem__, lambda _: 0, 512)(LABELS) == {"demo": Pressure(0.75, 0)}
    assert Pressures(lambda _: {"1.0": Queue(0, 0)}, lambda _: 0, 512)(LABELS) == {"demo": Pressure(0.0, 0)}


def test_a_model_without_versions_is_not_full():
    assert Pressures(lambda _: {}, lambda _: 0, 8)(LABELS) == {"demo": Pressure(0.0, 0)}


def test_a_model_that_could_not_be_loaded_hides_no_other():
    labels = Roles({**LABELS.models, "broken": Model({"1.0": "c" * 64}, "1.0")})
    fake = FakeTorchServe(["1.0", "2.0"])
    fake.pending = 50
    look = Pressures(Management("http://fake", transport=fake.transport()).queues, lambda _: 0, 200)
    assert look(labels) == {"demo": Pressure(50 / 150, 0), "broken": Pressure(0.0, 0)}


def test_waiting_requests_are_those_of_the_management_api():
    fake = FakeTorchServe(["1.0", "2.0"])
    fake.pending = 3
    waiting = Management("http://fake", transport=fake.transport()).queues("demo")
    assert waiting == {"1.0": Queue(100, 3), "2.0": Queue(100, 3)}
