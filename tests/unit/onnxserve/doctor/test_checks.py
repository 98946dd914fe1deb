"""What `doctor` says of a model store is what `serve` would do with it."""

from __future__ import annotations

import socket

from onnxserve.archive import Stores, fill
from onnxserve.doctor.checks import roles, sockets, store
from onnxserve.processes import lock_run_folder, make_run_folder


def test_what_serve_would_refuse_is_listed_by_name_with_the_reason_beside_what_it_would_load(settings, archive):
    (settings.store / archive.name).write_bytes(archive.read_bytes())
    (settings.store / "cut.mar").write_bytes(archive.read_bytes()[:1000])
    (settings.store / "folder").mkdir()
    (settings.store / "packed.tar.gz").write_bytes(b"x")
    finding = store(settings)
    refused = fill(Stores(settings.store, settings.state / "store"))
    assert {refusal.file for refusal in refused} == {"cut.mar", "folder", "packed.tar.gz"}
    assert finding.result.startswith("circle 1.0.0; refused: ")
    assert all(f"{refusal.file}: {refusal.reason}" in finding.result for refusal in refused)
    assert finding.fix


def test_a_store_whose_archives_are_all_served_needs_no_fix(settings, archive):
    (settings.store / archive.name).write_bytes(archive.read_bytes())
    assert (store(settings).result, store(settings).fix) == ("circle 1.0.0", "")


def test_a_store_that_is_empty_or_is_not_there_is_told_with_what_to_do(settings):
    assert "onnxserve export" in store(settings).fix
    settings.store.rmdir()
    assert "onnxserve export" in store(settings).fix


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
