"""`onnxserve archive report`: the page of an archive, of an earlier version too, and damaged evidence."""

from __future__ import annotations

import hashlib
import json
import lzma
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.program import run

DATA = Path(__file__).parents[4] / "data"
EVIDENCE = "evidence.json"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An archive of 0.2.0."""
    path = tmp_path / "circle-1.0.0.mar"
    path.write_bytes(lzma.decompress((DATA / "circle-0.2.0.mar.xz").read_bytes()))
    return path


def evidence_of(archive: Path) -> dict[str, Any]:
    with zipfile.ZipFile(archive) as opened:
        document: dict[str, Any] = json.loads(opened.read(EVIDENCE))
    return document


def with_evidence(archive: Path, document: Any) -> Path:
    """Write the archive again, with other evidence."""
    path = archive.with_name("forged.mar")
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(path, "w") as target:
        for info in source.infolist():
            target.writestr(info, json.dumps(document) if info.filename == EVIDENCE else source.read(info))
    return path


def test_it_writes_the_page_without_times_that_an_archive_does_not_have(old, monkeypatch, capsys, tmp_path):
    output = tmp_path / "page.html"
    code, out, _ = run("archive", "report", str(old), "-o", str(output), monkeypatch=monkeypatch, capsys=capsys)
    assert (code, out.replace("\n", "")) == (0, str(output))
    page = output.read_text()
    assert "<h1>circle-1.0.0</h1>" in page
    assert 'id="speeds"' not in page


def test_it_takes_times_from_the_evidence_beside_the_archive(old, monkeypatch, capsys, tmp_path):
    times = [{"variant": name, "threads": 1, "batch": 32, "ms": ms} for name, ms in (("torch", 0.02), ("fp32", 0.01))]
    beside = {**evidence_of(old), "timings": times, "served": {"threads": 1, "batch": 32}}
    old.with_suffix(".evidence.json").write_text(json.dumps(beside))
    output = tmp_path / "page.html"
    words = ("archive", "report", str(old), "-o", str(output), "--json")
    code, out, _ = run(*words, monkeypatch=monkeypatch, capsys=capsys)
    assert (code, json.loads(out)) == (0, {"report": str(output), "timed": True})
    assert "2.0 times as fast as torch" in output.read_text()


def test_evidence_beside_the_archive_that_is_damaged_is_named(old, monkeypatch, capsys, tmp_path):
    old.with_suffix(".evidence.json").write_text("{")
    words = ("archive", "report", str(old), "-o", str(tmp_path / "page.html"), "--json")
    code, out, err = run(*words, monkeypatch=monkeypatch, capsys=capsys)
    assert (code, json.loads(out)["timed"]) == (0, False)
    assert f"{old.stem}.evidence.json beside it is damaged: " in err


def test_what_was_proven_is_read_from_the_archive_alone(old, monkeypatch, capsys, tmp_path):
    evidence = evidence_of(old)
    proven = {**evidence, "summary": {**evidence["summary"], "bound": 0.0, "rows": 987654}}
    old.with_suffix(".evidence.json").write_text(json.dumps({**proven, "archive": {"file": "x", "sha256": "f" * 64}}))
    output = tmp_path / "page.html"
    assert run("archive", "report", str(old), "-o", str(output), monkeypatch=monkeypatch, capsys=capsys)[0] == 0
    page = output.read_text()
    assert "987654" not in page
    assert hashlib.sha256(old.read_bytes()).hexdigest() in page


def test_a_report_never_replaces_its_archive(old, monkeypatch, capsys):
    content = old.read_bytes()
    code, _, err = run("archive", "report", str(old), "-o", str(old), monkeypatch=monkeypatch, capsys=capsys)
    assert (code != 0, "would replace the archive" in err) == (True, True)
    assert old.read_bytes() == content


@pytest.mark.parametrize(
    "damage",
    [
        {"summary": {}},
        {"summary": 5},
        {"variants": [{}]},
        {"certify": {"tests": 5}},
        {"parity": [7]},
        {"timings": [{"variant": "torch", "threads": 1, "batch": 1, "ms": 0}], "served": {"threads": 1, "batch": 1}},
    ],
)
def test_damaged_evidence_is_an_error_in_words(old, monkeypatch, capsys, tmp_path, damage):
    forged, output = with_evidence(old, {**evidence_of(old), **damage}), tmp_path / "page.html"
    code, _, err = run("archive", "report", str(forged), "-o", str(output), monkeypatch=monkeypatch, capsys=capsys)
    assert code != 0
    assert "its evidence isn't as an export writes it" in err
    assert "export the model again" in err
    assert not output.exists()
