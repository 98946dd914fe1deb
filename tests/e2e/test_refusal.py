"""A worker that can't keep the proof never becomes ready, and says why."""

import zipfile
from pathlib import Path

import pytest

from onnxserve.cli.serve import wait_until_ready
from onnxserve.config import Settings, free_ports, start_server
from onnxserve.errors import ServerError
from tests.e2e.server import ROOT


def rewrite(archive: Path, target: Path, member: str, old: bytes, new: bytes) -> None:
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(target, "w") as copy:
        for info in source.infolist():
            content = source.read(info)
            assert info.filename != member or old in content
            copy.writestr(info, content.replace(old, new) if info.filename == member else content)


@pytest.mark.parametrize(
    ("member", "old", "new", "reason"),
    [
        ("golden.json", b'"tolerance"', b'"tolerance" ', "golden.json differs from its recorded digest"),
        ("model-config.yaml", b"provider: auto", b"provider: cuda", "model-config.yaml differs"),
    ],
)
def test_a_tampered_archive_is_not_loaded(archive, tmp_path, member, old, new, reason):
    store = tmp_path / "store"
    store.mkdir()
    rewrite(archive, store / "circle-1.0.0.mar", member, old, new)
    ports = free_ports(5)
    settings = Settings(ROOT / "config.properties", store, tmp_path / "state", *ports)
    server = start_server(settings)
    try:
        with pytest.raises(ServerError, match="not ready") as caught:
            wait_until_ready(server, settings, 15)
        assert str(caught.value).count(reason) == 1
    finally:
        server.stop()
