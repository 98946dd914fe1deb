"""`onnxserve migrate`: the report, the archive, and what it writes nothing for."""

from __future__ import annotations

import json

from tests.helpers.program import run
from tests.helpers.stock import doubler_members, with_manifest, write_zip


def test_it_reports_writes_the_archive_and_says_what_comes_next(monkeypatch, capsys, tmp_path):
    path, store = write_zip(tmp_path / "old.mar", doubler_members()), tmp_path / "store"
    for words in (["migrate"], ["archive", "migrate"]):
        code, out, err = run(*words, str(path), "--out", str(store), monkeypatch=monkeypatch, capsys=capsys)
        assert code == 0, err
        assert out.startswith("doubler 1.0, from ")
        assert "\nneeds    metrics: " in out
        assert f"release register {store}/doubler-1.0.mar" in out
    assert [kept.name for kept in store.iterdir()] == ["doubler-1.0.mar"]


def test_the_archive_is_verified_and_explained_as_unproven(monkeypatch, capsys, tmp_path):
    path, store = write_zip(tmp_path / "old.mar", doubler_members()), tmp_path / "store"
    run("migrate", str(path), "--out", str(store), monkeypatch=monkeypatch, capsys=capsys)
    written = str(store / "doubler-1.0.mar")
    code, out, _ = run("archive", "explain", written, monkeypatch=monkeypatch, capsys=capsys)
    assert (code, "It is unproven: it was migrated from TorchServe" in out) == (0, True)
    code, out, _ = run("archive", "verify", written, "--json", monkeypatch=monkeypatch, capsys=capsys)
    assert (code, json.loads(out)["golden_rows"]) == (0, 0)
    code, _, err = run("archive", "verify", written, "--rerun", monkeypatch=monkeypatch, capsys=capsys)
    assert (code, "carries no proof rows" in err) == (1, True)


def test_a_plan_writes_nothing_and_machines_get_every_finding(monkeypatch, capsys, tmp_path):
    path, store = write_zip(tmp_path / "old.mar", doubler_members()), tmp_path / "store"
    words = ("migrate", str(path), "--out", str(store), "--plan", "--json")
    code, out, _ = run(*words, monkeypatch=monkeypatch, capsys=capsys)
    document = json.loads(out)
    assert (code, document["model"], "archive" in document) == (0, "doubler", False)
    assert {"verdict", "subject", "text"} == set(document["findings"][0])
    assert not store.exists()


def test_an_archive_that_would_not_load_is_reported_and_not_written(monkeypatch, capsys, tmp_path):
    path, store = (
        write_zip(tmp_path / "old.mar", with_manifest(doubler_members(), handler="gone.py")),
        tmp_path / "store",
    )
    code, out, err = run("migrate", str(path), "--out", str(store), monkeypatch=monkeypatch, capsys=capsys)
    assert code == 1
    assert "\nfails    gone.py: " in out
    assert "nothing was written" in err
    assert not store.exists()
