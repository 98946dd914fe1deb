"""`onnxserve release register` says what the new version answers."""

from __future__ import annotations

import pytest

from onnxserve.archive import write_archive
from onnxserve.cli.release import changes
from onnxserve.gateway import Model, Roles, RoleStore
from onnxserve.gateway.files import write_json
from onnxserve.release import History, ReleaseService
from onnxserve.torchserve import Management
from tests.helpers.fakes import FakeTorchServe
from tests.helpers.program import run


@pytest.mark.parametrize(
    ("stable", "words"), [("1.0", "it answers when named, or as a canary"), ("2.0", "it answers all requests")]
)
def test_the_first_version_of_a_model_answers_all_and_a_later_one_waits(stable, words, tmp_path, monkeypatch, capsys):
    manifest: dict[str, object] = {"model": {"modelName": "demo", "modelVersion": "2.0", "handler": "h.py"}}
    write_archive(tmp_path / "demo-2.0.mar", {"h.py": b""}, manifest)
    write_json(tmp_path / "roles.json", Roles({"demo": Model({"1.0": "a", "2.0": "b"}, stable)}))
    management = Management("http://fake", transport=FakeTorchServe(["1.0"]).transport())
    release = ReleaseService(management, History(tmp_path), tmp_path, RoleStore(tmp_path))
    monkeypatch.setattr(release, "register", lambda _: "2.0")
    monkeypatch.setattr(changes, "release_of", lambda _: release)
    arguments = ("release", "register", str(tmp_path / "demo-2.0.mar"))
    code, out, _ = run(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert (code, out) == (0, f"demo-2.0.mar is ready as version 2.0; {words}\n")
