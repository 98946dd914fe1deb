"""A worker that can't keep the proof never becomes ready, and says why."""

import json
import zipfile
from pathlib import Path

import pytest

from onnxserve.archive import Stores, fill, make_identity, make_key, seal_archive, sign_archive
from onnxserve.errors import ServerError
from onnxserve.torchserve import Settings, start_server
from tests.helpers.torchserve import ROOT, running, wait_until_ready


def rewrite(archive: Path, target: Path, member: str, old: bytes, new: bytes) -> None:
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(target, "w") as copy:
        for info in source.infolist():
            content = source.read(info)
            assert info.filename != member or old in content
            copy.writestr(info, content.replace(old, new) if info.filename == member else content)


def test_tampered_archives_are_not_loaded(archive, next_archive, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    rewrite(archive, store / archive.name, "golden.json", b'"tolerance"', b'"tolerance" ')
    rewrite(next_archive, store / next_archive.name, "model-config.yaml", b"provider: auto", b"provider: cuda")
    settings = Settings(ROOT / "config.properties", store, tmp_path / "state")
    server = start_server(settings)
    try:
        with pytest.raises(ServerError, match=r"circle 1.0.0, circle 2.0.0 can't be loaded") as caught:
            wait_until_ready(server, settings)
        for reason in ("golden.json differs from its recorded digest", "model-config.yaml differs"):
            assert str(caught.value).count(reason) == 1
    finally:
        server.stop()


def test_with_a_key_an_unsigned_archive_is_loaded_by_no_worker(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("ONNXSERVE_PUBLIC_KEY", str(make_key(tmp_path / "signing.pem")))
    store = tmp_path / "store"
    store.mkdir()
    (store / archive.name).write_bytes(archive.read_bytes())
    settings = Settings(ROOT / "config.properties", store, tmp_path / "state")
    server = start_server(settings)  # as if TorchServe had been started without us
    try:
        with pytest.raises(ServerError, match="ONNXSERVE_PUBLIC_KEY is set, but the archive is not signed"):
            wait_until_ready(server, settings)
    finally:
        server.stop()


def test_a_sealed_and_signed_archive_serves_whoever_holds_both_keys(archive, tmp_path, monkeypatch):
    copy = tmp_path / archive.name
    seal_archive(archive, make_identity(tmp_path / "age.txt"), copy)
    public = make_key(tmp_path / "signing.pem")
    sign_archive(copy, tmp_path / "signing.pem")
    monkeypatch.setenv("ONNXSERVE_PUBLIC_KEY", str(public))
    monkeypatch.setenv("ONNXSERVE_IDENTITY", str(tmp_path / "age.txt"))
    with running(tmp_path / "server", [copy]) as server:
        assert fill(Stores(tmp_path / "server" / "store", tmp_path / "copies"), public) == []
        answer = server.post("circle", json.dumps([0, 0]).encode())
        assert answer.json()["predictions"][0]["label"] == "inside"
