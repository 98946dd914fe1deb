"""Versions that do harm in a real TorchServe, behind the real gateway: an automatic canary takes each of them back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from onnxserve.archive import contents, write_archive
from onnxserve.gateway import Auto, Canary
from onnxserve.release.controller import Controller
from tests.helpers.gateway import TorchServeClient, gateway_before
from tests.helpers.torchserve import running

WAIT_S = 180
LEAST_TRIES = 3  # failures.js allows so many whatever the budget
HARMS = {
    "2.0.0": ("errors", "raise RuntimeError('out of order')"),
    "3.0.0": ("slow", "time.sleep(0.08)"),
    "4.0.0": ("label", "predictions = [{**prediction, 'label': 'outside'} for prediction in predictions]"),
}
PREDICTIONS = """
    answered = 0

    def predictions(self, outputs, rows):
        import time

        predictions = super().predictions(outputs, rows)
        self.answered += 1
        if self.answered > 20:
            {code}
        return predictions
"""


def write_harmful(archive: Path, version: str, code: str, folder: Path) -> Path:
    """Write another version, which keeps its promise until it is released: only a canary can find out that it fails."""
    members, manifest, _ = contents(archive)
    members["service.py"] += PREDICTIONS.format(code=code).encode()  # it ends with the class that serves
    members["signature.json"] = members["signature.json"].replace(
        b'"version": "1.0.0"', f'"version": "{version}"'.encode()
    )
    target = folder / f"circle-{version}.mar"
    write_archive(target, members, {**manifest, "model": {**manifest["model"], "modelVersion": version}})
    return target


@pytest.fixture(scope="module")
def gateway(archive, tmp_path_factory) -> Iterator[TorchServeClient]:
    folder = tmp_path_factory.mktemp("harmful")
    others = [write_harmful(archive, version, code, folder) for version, (_, code) in HARMS.items()]
    with running(folder / "server", [archive, *others]) as server, gateway_before(server) as client:
        server.release.promote("circle", "1.0.0")
        yield client


@pytest.mark.parametrize(("version", "measure"), [(version, measure) for version, (measure, _) in HARMS.items()])
def test_a_canary_that_does_harm_is_taken_back(gateway, version, measure):
    server = gateway.server
    release, controller = server.release, Controller(server.release, server.settings.state)
    release.canary("circle", Canary(version, 50, auto=Auto((50.0,), requests=100_000, seconds=0)))
    deadline = time.monotonic() + WAIT_S
    try:
        # As many clients as there are tries without a budget: with more, the budget lets some failures through.
        with gateway.load("circle", b"[0.0, 0.1]", threads=LEAST_TRIES) as load:
            while release.role_store.roles.models["circle"].canary and time.monotonic() < deadline:
                time.sleep(0.5)
                controller.tick()
        assert release.role_store.roles.models["circle"].canary is None, "it was not taken back"
    finally:
        if release.role_store.roles.models["circle"].canary:
            release.rollback("circle")  # the next test begins another one
    assert release.role_store.roles.models["circle"].stable == "1.0.0"
    last = release.history.events("circle")[-1]
    assert last.action == "rollback"
    assert any(line.startswith(f"{measure}: canary") for line in last.changes), last.changes
    assert {status for status, _ in load.answers} == {200}, load.answers
