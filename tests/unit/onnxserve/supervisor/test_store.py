"""Filling a server's store: what is refused or unproven is recorded by name, with the command that helps."""

from __future__ import annotations

import json

import pytest

from onnxserve.archive import Stores
from onnxserve.errors import ServerError
from onnxserve.migrate import read_stock, wrap
from onnxserve.supervisor import Events
from onnxserve.supervisor.store import fill_store, stored_archives
from tests.helpers.stock import doubler_members, with_manifest, write_folder, write_tar, write_zip


def test_archives_of_torchserve_are_served_or_refused_and_each_is_named_with_the_command(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    write_zip(kept / "as-it-is.mar", doubler_members())
    write_tar(kept / "packed.tar.gz", doubler_members())
    write_folder(kept / "folder", doubler_members())
    members = with_manifest(doubler_members(), modelName="taken-over")
    wrap(read_stock(write_zip(tmp_path / "old.mar", members)), kept)
    stores, log = Stores(kept, tmp_path / "served"), tmp_path / "supervisor.log"
    fill_store(stores, (), Events(log))
    events = {event["detail"].partition(":")[0]: event for event in map(json.loads, log.read_text().splitlines())}
    assert {file: event["event"] for file, event in events.items()} == {
        "as-it-is.mar": "unproven",
        "packed.tar.gz": "refused",
        "folder": "refused",
    }
    assert all("onnxserve migrate" in event["detail"] for event in events.values())
    versions = {archive.path.name: (archive.ours, archive.migrated) for archive in stored_archives(stores.server)}
    assert versions == {"as-it-is.mar": (False, False), "taken-over-1.0.mar": (False, True)}


def test_a_store_without_a_servable_archive_is_an_error(tmp_path):
    (tmp_path / "kept").mkdir()
    write_tar(tmp_path / "kept" / "packed.tar.gz", doubler_members())
    with pytest.raises(ServerError, match="no archive of the model store can be served"):
        fill_store(Stores(tmp_path / "kept", tmp_path / "served"), (), Events(tmp_path / "log"))
