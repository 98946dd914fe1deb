"""Gauges of what waits in TorchServe."""

from __future__ import annotations

import httpx

from onnxserve.monitoring.queues import queues_page
from onnxserve.torchserve import Management
from tests.helpers.fakes import FakeTorchServe


def test_each_version_has_what_waits_and_what_may():
    fake = FakeTorchServe(["1.0", "2.0"])
    fake.pending = 3
    page = queues_page(Management("http://fake", transport=fake.transport())).decode()
    for version in ("1.0", "2.0"):
        assert f'onnxserve_queue_requests{{model="demo",version="{version}"}} 3\n' in page
        assert f'onnxserve_queue_limit{{model="demo",version="{version}"}} 103\n' in page


def test_a_server_that_does_not_answer_has_no_figures():
    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("gone", request=request)

    assert queues_page(Management("http://fake", transport=httpx.MockTransport(gone))) == b""
