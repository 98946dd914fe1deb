"""`onnxserve release ready`, the health check: versions with traffic count, the others don't."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from onnxserve.cli.release import changes
from onnxserve.gateway import Canary, Model, Roles, RoleStore
from onnxserve.gateway.files import write_json
from onnxserve.release import History, ReleaseService
from onnxserve.torchserve import Management
from tests.helpers.fakes import FakeTorchServe
from tests.helpers.program import run


def outcome(
    folder: Path,
    server: FakeTorchServe,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *words: str,
) -> tuple[int, str]:
    """The exit code and what is printed."""
    management = Management("http://fake", transport=server.transport())
    release = ReleaseService(management, History(folder), folder / "store", RoleStore(folder))
    monkeypatch.setattr(changes, "release_of", lambda _: release)
    code, output, errors = run("release", "ready", "--json", *words, monkeypatch=monkeypatch, capsys=capsys)
    return code, output + errors


def test_a_version_without_traffic_does_not_hold_up_readiness(tmp_path, monkeypatch, capsys):
    write_json(tmp_path / "roles.json", Roles({"demo": Model({"1.0": "a", "2.0": "b"}, "1.0")}))
    server = FakeTorchServe(["1.0", "2.0"], unready=["2.0"])
    code, output = outcome(tmp_path, server, monkeypatch, capsys)
    assert (code, json.loads(output)) == (0, {"demo 1.0": 1})


@pytest.mark.parametrize(
    "model",
    [
        Model({"1.0": "a", "2.0": "b"}, "1.0", canary=Canary("2.0", 5)),
        Model({"1.0": "a", "2.0": "b"}, "2.0"),
    ],
)
def test_a_version_with_traffic_must_have_a_proven_worker(model, tmp_path, monkeypatch, capsys):
    write_json(tmp_path / "roles.json", Roles({"demo": model}))
    server = FakeTorchServe(["1.0", "2.0"], unready=["2.0"])
    code, output = outcome(tmp_path, server, monkeypatch, capsys)
    assert (code, output.strip()) == (1, "not ready: demo 2.0")


def test_a_version_with_traffic_that_is_not_registered_is_not_ready(tmp_path, monkeypatch, capsys):
    write_json(tmp_path / "roles.json", Roles({"other": Model({"1.0": "a"}, "1.0")}))
    code, output = outcome(tmp_path, FakeTorchServe(["1.0"]), monkeypatch, capsys)
    assert (code, output.strip()) == (1, "not ready: other 1.0")


def test_without_roles_every_registered_version_counts(tmp_path, monkeypatch, capsys):
    code, output = outcome(tmp_path, FakeTorchServe(["1.0", "2.0"], unready=["2.0"]), monkeypatch, capsys)
    assert (code, output.strip()) == (1, "not ready: demo 2.0")


class Loading(FakeTorchServe):
    """Its version gets ready after some calls."""

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if len(self.calls) > 8:
            self.unready.clear()
        return super()._answer(request)


@pytest.mark.parametrize(("words", "code"), [((), 1), (("--wait", "30"), 0), (("--wait", "0.1"), 1)])
def test_it_waits_for_a_server_that_gets_ready_if_that_is_asked_for(words, code, tmp_path, monkeypatch, capsys):
    write_json(tmp_path / "roles.json", Roles({"demo": Model({"1.0": "a"}, "1.0")}))
    assert outcome(tmp_path, Loading(["1.0"], unready=["1.0"]), monkeypatch, capsys, *words)[0] == code


def test_it_waits_for_a_start_that_mends_damaged_roles(tmp_path, monkeypatch, capsys):
    (tmp_path / "roles.json").write_text("{")
    code, output = outcome(tmp_path, FakeTorchServe(["1.0"]), monkeypatch, capsys)
    assert (code, "damaged" in output) == (1, True)
    mended = Roles({"demo": Model({"1.0": "a"}, "1.0")})
    monkeypatch.setattr("time.sleep", lambda _: write_json(tmp_path / "roles.json", mended))
    assert outcome(tmp_path, FakeTorchServe(["1.0"]), monkeypatch, capsys, "--wait", "30")[0] == 0
