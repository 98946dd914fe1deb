"""A definition's feature store, the folder of the store's files, and the circuit breaker."""

from __future__ import annotations

import importlib
import shutil
import sys
import zipfile

import pytest

from onnxserve.cli.features import specs
from onnxserve.definition import read_definition
from onnxserve.errors import DefinitionError
from onnxserve.features.join import column_array
from onnxserve.features.program import THEN, lean_imports, parts
from onnxserve.features.repo import open_repo, place_files
from onnxserve.features.skew import is_close
from onnxserve_handlers.features import client as stores
from onnxserve_handlers.features.client import Breaker
from tests.helpers.feast_repo import Now, write_repo


def test_the_breaker_opens_and_closes():
    now = Now()
    breaker = Breaker(now)
    for _ in range(stores.PATIENCE):
        assert breaker.closed()
        breaker.record_failure()
    assert not breaker.closed()
    now.time += stores.FIRST_PAUSE_S
    assert breaker.closed()


def test_files_go_to_the_state_folder_and_redis_comes_from_the_environment(tmp_path):
    repo = open_repo(write_repo(tmp_path / "repo"), tmp_path / "state", {"ONNXSERVE_REDIS": "localhost:1"})
    assert "connection_string: localhost:1" in repo.config.read_text()
    document = place_files({"project": "p", "registry": "s3://b/r.db"}, tmp_path, "")
    assert document["registry"] == "s3://b/r.db"
    assert document["online_store"] == {"type": "sqlite", "path": str(tmp_path / "online.db")}
    kept = {"type": "postgres", "host": "db"}
    assert place_files({"project": "p", "online_store": kept}, tmp_path, "")["online_store"] == kept


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ('repo = "nowhere"', "no feature_store.yaml"),
        ('columns = ["speed"]', "not among input.columns"),
        ('entities = ["x"]', "can't be keys and columns"),
        ('missing = "default"', "features.defaults lacks"),
    ],
)
def test_a_definition_that_contradicts_itself_is_refused(definition, tmp_path, change, reason):
    folder = shutil.copytree(definition, tmp_path / "circle")
    write_repo(folder / "store")
    fields = {"repo": '"store"', "service": '"s"', "entities": '["driver_id"]', "columns": '["x"]'}
    key, value = change.split(" = ", 1)
    lines = [f"{name} = {text}" for name, text in {**fields, key: value}.items()]
    toml = folder / "model.toml"
    toml.write_text(toml.read_text() + "\n[features]\n" + "\n".join(lines) + "\n")
    with pytest.raises(DefinitionError, match=reason):
        read_definition(folder)


def test_several_commands_of_feast_are_parted_by_a_word():
    words = ["apply", THEN, "materialize", "a", "b", THEN, "serve", "--port", "1"]
    assert list(parts(words)) == [["apply"], ["materialize", "a", "b"], ["serve", "--port", "1"]]


def test_what_feast_does_not_need_is_left_out_only_while_it_is_imported(monkeypatch):
    for name in ("torch", "matplotlib", "typeguard"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with lean_imports():
        with pytest.raises(ImportError):
            importlib.import_module("torch")
        typechecked = importlib.import_module("typeguard").typechecked
        assert typechecked(len) is len
        assert typechecked(forward_refs_policy="error")(len) is len
    assert not {"torch", "matplotlib", "typeguard"} & sys.modules.keys()


def test_what_was_imported_before_feast_stays_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", sys)
    with lean_imports():
        assert importlib.import_module("torch") is sys
    assert sys.modules["torch"] is sys


def test_an_archive_of_others_takes_no_features_and_stops_no_start(tmp_path, archive):
    shutil.copy(archive, tmp_path)
    (tmp_path / "damaged.mar").write_bytes(b"no zip")
    with zipfile.ZipFile(tmp_path / "others.mar", "w") as archive_zip:
        archive_zip.writestr("MAR-INF/MANIFEST.json", "{}")
    assert specs(tmp_path) == {}


def test_features_may_be_texts_and_numbers_are_float64():
    assert column_array([1, None, 2]).to_pylist() == [1.0, None, 2.0]
    assert str(column_array([1, 2]).type) == "double"
    assert column_array(["a", None]).to_pylist() == ["a", None]


@pytest.mark.parametrize(
    ("online", "offline", "same"),
    [("a", "a", True), ("a", "b", False), ("a", None, False), (None, None, True), (1.0, 1.0 + 1e-9, True)],
)
def test_skew_compares_texts_as_they_are_and_numbers_within_a_tolerance(online, offline, same):
    assert is_close(online, offline, 1e-6) is same
