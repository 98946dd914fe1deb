"""The commands that an export prints at its end."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from onnxserve.cli.after_export import serving_lines
from onnxserve.processes import lock_run_folder, make_run_folder
from onnxserve.torchserve import Settings, own_stores, record_stores, resolve_settings
from tests.helpers.certificates import Authority

GOLDEN = {"instances": [{"x": 0.0, "y": 0.1}]}


@pytest.fixture
def settings(tmp_path, monkeypatch, archive) -> Settings:
    """Those of a working folder with the archive in its store."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model_store").mkdir()
    shutil.copy(archive, tmp_path / "model_store")
    return resolve_settings({}, {})


def commands(archive: Path, settings: Settings, features: Path | None = None) -> list[list[str]]:
    """The words of the commands that serve and ask."""
    serve, ask, *_ = serving_lines(archive, settings, features)
    return [shlex.split(line.partition(": ")[2]) for line in (serve, ask)]


def test_an_archive_of_the_usual_store_is_served_and_asked_without_flags(settings, archive):
    serve, ask = commands(Path("model_store") / archive.name, settings)
    assert serve == ["onnxserve", "serve"]
    assert ask[:3] == ["onnxserve", "predict", "circle"]
    assert json.loads(ask[3]) == GOLDEN
    assert len(ask) == 4


def test_what_serve_does_not_find_by_itself_is_named(settings, archive, tmp_path):
    elsewhere = Path(shutil.copytree(archive.parent, tmp_path / "my store"))
    given = resolve_settings({}, {"state": tmp_path / "state"})
    serve, _ = commands(elsewhere / archive.name, given, Path("models/circle/my features"))
    flags = ["--store", str(elsewhere), "--state", str(tmp_path / "state"), "--features", "models/circle/my features"]
    assert serve == ["onnxserve", "serve", *flags]


def test_of_several_versions_the_new_one_is_asked(settings, archive, next_archive):
    shutil.copy(next_archive, settings.store)
    _, ask = commands(settings.store / next_archive.name, settings)
    assert ask[4:] == ["--version", "2.0.0"]


def test_a_server_that_runs_is_given_the_archive(settings, archive, next_archive):
    make_run_folder(settings.run)
    stores = own_stores(settings)
    stores.server.mkdir()
    shutil.copy(archive, stores.server)
    record_stores(settings, stores)
    shutil.copy(next_archive, settings.store)
    with lock_run_folder(settings.run):
        serve, ask = commands(settings.store / next_archive.name, settings)
        assert serve == ["onnxserve", "release", "register", str(settings.store / next_archive.name)]
        assert ask[4:] == ["--version", "2.0.0"]
        line, *_ = serving_lines(settings.store / archive.name, settings)
    assert line == "serve it: onnxserve serve  # once the server is stopped that has the earlier archive"


def test_what_the_gateway_demands_is_brought_and_said(settings, archive):
    Path("gateway.toml").write_text("[auth]\nrequired = true\n")
    needs_key = resolve_settings({}, {"gateway_file": Path("gateway.toml")})
    _, ask, source = serving_lines(settings.store / archive.name, needs_key)
    assert ask.startswith("ask it:   onnxserve predict circle ")
    assert source.startswith("          ONNXSERVE_KEY: a key of ")
    Authority(Path()).sign("server")
    Path("gateway.toml").write_text('[tls]\ncertificate = "server.pem"\nkey = "server.key"\n')
    _, ask = serving_lines(settings.store / archive.name, needs_key)
    assert ask.startswith("ask it:   curl --cacert ")
    assert ask.endswith("https://127.0.0.1:8000/predictions/circle")
    Path("gateway.toml").write_text("[nonsense]\n")
    assert len(serving_lines(settings.store / archive.name, needs_key)) == 2
