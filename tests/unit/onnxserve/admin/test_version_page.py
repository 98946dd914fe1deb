"""What the console shows of a version's archive and of its live rows."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from onnxserve.admin.version_page import last_window, version_page
from onnxserve_handlers.telemetry.metrics import VARIABLE, WINDOWS, Window, window_file

WINDOW = Window(200, {"x": (50, 150)}, {"a": 120, "b": 70}, 10)


@pytest.fixture
def windows(tmp_path, monkeypatch):
    """The folder in which the workers count."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def test_a_version_has_its_evidence_and_its_profile(archive, tmp_path):
    page = version_page(archive, tmp_path, "circle", "1.0.0")
    assert page["evidence"]["summary"]["proof"] == "certified"
    assert {"certify", "sources"}.isdisjoint(page["evidence"])
    assert sum(page["profile"]["labels"].values()) == page["profile"]["rows"]
    assert (page["window"], page["reason"]) == (None, "")


@pytest.mark.parametrize(
    ("name", "document", "place"),
    [
        ("evidence.json", {"summary": {"budget": "1 %"}}, "$.summary.budget"),
        ("evidence.json", {"summary": {}, "variants": [{"variant": 8}]}, "$.variants[0].variant"),
        ("evidence.json", {"summary": {}, "parity": {"a": 1}}, "$.parity"),
        ("evidence.json", [], "Expected `object`"),
        ("profile.json", {"rows": 5, "measures": {"x": {"edges": [None], "counts": [1]}}}, "edges"),
        ("profile.json", {"rows": 5, "labels": {"a": "many"}}, "labels"),
    ],
)
def test_a_document_of_another_form_is_named_and_costs_no_other_one(name, document, place, archive, tmp_path):
    page = page_with(archive, tmp_path, {name: msgspec.json.encode(document)})
    other = {"evidence.json": "profile", "profile.json": "evidence"}[name]
    assert page[name.removesuffix(".json")] is None
    assert page[other] == version_page(archive, tmp_path, "circle", "1.0.0")[other] is not None
    assert page["reason"].startswith(f"{name} of the archive has another form than the console reads: ")
    assert place in page["reason"]
    assert "\n" not in page["reason"]


def test_each_damaged_document_is_named_as_damaged(archive, tmp_path):
    page = page_with(archive, tmp_path, {"profile.json": b'{"rows": 5'})
    assert page["evidence"]["summary"]["proof"] == "certified"
    assert (page["profile"], page["reason"][:40]) == (None, "profile.json of the archive is damaged: ")
    page = page_with(archive, tmp_path, {"profile.json": b"\0", "evidence.json": b"{"})
    assert (page["evidence"], page["profile"]) == (None, None)
    assert all(f"{name} of the archive is damaged: " in page["reason"] for name in ("evidence.json", "profile.json"))


def page_with(archive: Path, folder: Path, changes: Mapping[str, bytes]) -> dict[str, Any]:
    """The page of a copy of an archive with other members."""
    changed = folder / "circle-1.0.0.mar"
    with zipfile.ZipFile(archive) as before, zipfile.ZipFile(changed, "w") as after:
        for member in before.namelist():
            after.writestr(member, changes.get(member) or before.read(member))
    return version_page(changed, folder, "circle", "1.0.0")


def test_a_file_that_is_no_archive_is_named_as_the_reason(tmp_path):
    (tmp_path / "circle-1.0.0.mar").write_bytes(b"no zip")
    page = version_page(tmp_path / "circle-1.0.0.mar", tmp_path, "circle", "1.0.0")
    assert (page["evidence"], page["profile"]) == (None, None)
    assert "not an archive" in page["reason"]


def test_the_last_windows_of_live_workers_are_added(windows):
    window_file("demo", "1.0")(WINDOW)
    other = msgspec.structs.replace(WINDOW, model="demo", version="1.0", closed=5.0)
    parent = windows / f"{WINDOWS}{os.getppid()}.json"
    parent.write_bytes(msgspec.json.encode(other))
    window = last_window(windows, "demo", "1.0")
    assert window is not None
    assert window["closed"] > 5.0
    del window["closed"]
    added = {"workers": 2, "rows": 400, "unknown": 20, "labels": {"a": 240, "b": 140}, "measures": {"x": [100, 300]}}
    assert window == added
    assert last_window(windows, "demo", "2.0") is None


def test_windows_of_ended_workers_and_damaged_files_do_not_count(windows):
    (windows / f"{WINDOWS}{2**22 + 1}.json").write_bytes(msgspec.json.encode(WINDOW))  # above the largest process id
    (windows / f"{WINDOWS}{os.getpid()}.json").write_bytes(b"{")
    (windows / f"{WINDOWS}x.json").write_bytes(msgspec.json.encode(WINDOW))
    assert last_window(windows, "", "") is None


def test_a_worker_replaces_its_window_and_a_full_disk_keeps_the_former_one(windows, monkeypatch):
    write = window_file("demo", "1.0")
    write(WINDOW)
    write(msgspec.structs.replace(WINDOW, rows=300))
    assert [path.suffix for path in windows.iterdir()] == [".json"]
    monkeypatch.setattr("pathlib.Path.write_bytes", refuse)
    write(msgspec.structs.replace(WINDOW, rows=400))
    window = last_window(windows, "demo", "1.0")
    assert window is not None
    assert window["rows"] == 300


def refuse(*_: object) -> None:
    raise OSError(28, "No space left on device")
