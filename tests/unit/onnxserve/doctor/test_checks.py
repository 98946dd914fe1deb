"""What `doctor` says of a model store is what `serve` would do with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxserve.archive import Stores, fill
from onnxserve.doctor.checks import store
from onnxserve.torchserve import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "store").mkdir()
    return Settings(tmp_path / "config.properties", tmp_path / "store", tmp_path / "state")


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
