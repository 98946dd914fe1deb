"""Archives of tests are made once for the same sources, also over several runs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.helpers import archive_cache
from tests.helpers.archive_cache import OTHER_KEYS, fill_once


@pytest.fixture
def config(tmp_path: Path) -> Any:
    (tmp_path / "cache").mkdir()
    return SimpleNamespace(cache=SimpleNamespace(mkdir=lambda _: tmp_path / "cache"))


def filled(config: Any, folder: Path, text: str) -> str:
    folder.mkdir()
    fill_once(config, "store", folder, lambda store: (store / "a.mar").write_text(text))
    return (folder / "a.mar").read_text()


def test_a_later_run_gets_a_copy_until_a_source_changes(config, tmp_path, monkeypatch):
    assert filled(config, tmp_path / "first", "made") == "made"
    (tmp_path / "first" / "a.mar").write_text("changed by a test")
    assert filled(config, tmp_path / "second", "made again") == "made"
    monkeypatch.setattr(archive_cache, "sources_key", lambda: "other")
    assert filled(config, tmp_path / "third", "made of others") == "made of others"


def test_the_key_is_of_the_sources_content(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_cache, "ROOT", tmp_path)
    monkeypatch.setattr(archive_cache, "SOURCES", ("handlers",))
    (tmp_path / "handlers").mkdir()
    source = tmp_path / "handlers" / "a.py"
    keys = []
    for text in ("1", "2", "1"):
        source.write_text(text)
        (tmp_path / "handlers" / "a.pyc").write_text(text * 2)
        keys.append(archive_cache.sources_key.__wrapped__())
    assert keys[0] == keys[2] != keys[1]


def test_archives_of_old_sources_are_removed(config, tmp_path, monkeypatch):
    for number in range(OTHER_KEYS + 3):
        monkeypatch.setattr(archive_cache, "sources_key", lambda number=number: str(number))
        filled(config, tmp_path / str(number), "made")
    assert len(list((tmp_path / "cache").iterdir())) == OTHER_KEYS + 1


def test_without_a_cache_the_archives_are_made(tmp_path):
    assert filled(SimpleNamespace(), tmp_path / "a", "made") == "made"
