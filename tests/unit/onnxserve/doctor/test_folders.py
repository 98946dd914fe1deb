"""Folders that are missing are made, and rights of other users are taken away."""

from __future__ import annotations

import stat
from dataclasses import replace

import pytest

from onnxserve.doctor.folders import folders, permissions


def test_a_missing_store_is_made(settings):
    settings = replace(settings, store=settings.store / "deeper" / "store")
    finding = folders(settings)
    assert "there is no model store" in finding.result
    assert finding.fix
    assert finding.repair
    assert str(settings.store) in finding.repair.what
    assert not settings.store.exists()
    finding.repair.apply()
    assert (folders(settings).fix, folders(settings).repair) == ("", None)


def test_a_state_folder_that_is_a_file_is_for_the_user_to_decide(settings):
    settings.state.rmdir()
    settings.state.write_text("notes")
    finding = folders(settings)
    assert "--state" in finding.fix
    assert finding.repair is None


@pytest.mark.parametrize(
    ("name", "mode", "mended"),
    [
        ("run", 0o755, 0o700),
        ("state", 0o777, 0o775),
        ("store", 0o757, 0o755),
        ("keys", 0o666, 0o644),
    ],
)
def test_rights_of_other_users_are_named_and_taken_away(settings, name, mode, mended):
    settings.run.mkdir(mode=0o700)
    keys = settings.gateway_file.with_name("keys.json")
    keys.write_text("{}")
    keys.chmod(0o600)
    assert permissions(settings).fix == ""
    path = {"run": settings.run, "state": settings.state, "store": settings.store, "keys": keys}[name]
    path.chmod(mode)
    finding = permissions(settings)
    assert finding.fix == f"chmod {mended:o} {path}"
    assert finding.repair
    assert finding.repair.what == finding.fix
    finding.repair.apply()
    assert stat.S_IMODE(path.stat().st_mode) == mended
    assert (permissions(settings).fix, permissions(settings).repair) == ("", None)


def test_a_gateway_file_that_cannot_be_read_is_left_to_its_own_check(settings):
    settings.gateway_file.write_text("[auth")
    assert permissions(settings).fix == ""
