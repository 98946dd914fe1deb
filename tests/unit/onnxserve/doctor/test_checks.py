"""What `doctor` says of a model store is what `serve` would do with it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from onnxserve.archive import Stores, fill
from onnxserve.doctor import CHECKS, MEANINGS
from onnxserve.doctor.checks import model_store, roles, run_check, sockets
from onnxserve.errors import GatewayError, ServerError
from onnxserve.processes import lock_run_folder, make_run_folder


def test_what_serve_would_refuse_is_listed_by_name_with_the_reason_beside_what_it_would_load(settings, archive):
    (settings.store / archive.name).write_bytes(archive.read_bytes())
    (settings.store / "cut.mar").write_bytes(archive.read_bytes()[:1000])
    (settings.store / "folder").mkdir()
    (settings.store / "packed.tar.gz").write_bytes(b"x")
    finding = model_store(settings)
    refused = fill(Stores(settings.store, settings.state / "store"))
    assert {refusal.file for refusal in refused} == {"cut.mar", "folder", "packed.tar.gz"}
    assert finding.result.startswith("circle 1.0.0; refused: ")
    assert all(f"{refusal.file}: {refusal.reason}" in finding.result for refusal in refused)
    assert finding.fix


def test_a_store_whose_archives_are_all_served_needs_no_fix(settings, archive):
    (settings.store / archive.name).write_bytes(archive.read_bytes())
    assert (model_store(settings).result, model_store(settings).fix) == ("circle 1.0.0", "")


def test_a_store_that_is_empty_or_is_not_there_is_told_with_what_to_do(settings):
    assert "onnxserve export" in model_store(settings).fix
    settings.store.rmdir()
    assert "onnxserve export" in model_store(settings).fix


def test_damaged_roles_are_set_aside_unless_a_server_runs_which_writes_them_again(settings):
    (settings.state / "roles.json").write_text("{")
    make_run_folder(settings.run)
    with lock_run_folder(settings.run):
        assert (bool(roles(settings).fix), roles(settings).repair) == (True, None)
    finding = roles(settings)
    assert "damaged" in finding.result
    assert finding.repair
    finding.repair.apply()
    assert (roles(settings).fix, roles(settings).repair) == ("", None)
    assert (settings.state / "roles.json.damaged").read_text() == "{"


def test_a_server_that_listens_is_a_fault_only_if_it_is_not_the_one_of_this_state_folder(settings):
    make_run_folder(settings.run)
    with socket.socket(socket.AF_UNIX) as api:
        api.bind(str(settings.inference.path))
        api.listen()
        assert "a server listens" in sockets(settings).result
        assert sockets(settings).fix
        with lock_run_folder(settings.run):
            assert "the server listens" in sockets(settings).result
            assert sockets(settings).fix == ""


def test_roles_that_a_server_wrote_again_after_the_check_stay(settings):
    (settings.state / "roles.json").write_text("{")
    finding = roles(settings)
    assert finding.repair
    (settings.state / "roles.json").write_text('{"models": {}, "generation": 3}')
    with pytest.raises(GatewayError, match="isn't damaged any more"):
        finding.repair.apply()
    make_run_folder(settings.run)
    with lock_run_folder(settings.run), pytest.raises(ServerError, match="another server runs"):
        finding.repair.apply()
    assert (settings.state / "roles.json").read_text() == '{"models": {}, "generation": 3}'


def test_roles_that_were_set_aside_before_are_not_replaced(settings):
    for text in ("{1", "{2", "{3"):
        (settings.state / "roles.json").write_text(text)
        repair = roles(settings).repair
        assert repair
        repair.apply()
    kept = {path.name: path.read_text() for path in settings.state.glob("roles.json.*")}
    assert kept == {"roles.json.damaged": "{1", "roles.json.damaged.2": "{2", "roles.json.damaged.3": "{3"}


def test_a_folder_that_this_user_may_not_look_at_is_a_finding_of_each_check(settings, monkeypatch):
    def refuse(path: Path, *, follow_symlinks: bool = True) -> object:
        if path == settings.state or settings.state in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, follow_symlinks=follow_symlinks)

    real = Path.stat
    settings.config.write_text("")
    monkeypatch.setattr(Path, "stat", refuse)
    findings = {finding.check: finding for finding in (run_check(check, settings) for check in CHECKS)}
    assert set(findings) == set(MEANINGS)
    denied = findings["permissions"]
    assert denied.result == f"{settings.run} can't be looked at: Permission denied"
    assert (denied.fix, denied.repair) == ("run it as the user who runs the server", None)
