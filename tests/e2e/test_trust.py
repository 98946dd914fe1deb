"""With a public key, what its owner didn't sign runs nowhere: not by the store, by management, or by a swap later."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import httpx
import pytest

from onnxserve.archive import make_key, sign_archive, unpack
from onnxserve.errors import ServerError
from onnxserve.torchserve import Settings, start_server
from tests.helpers import plain_http
from tests.helpers.attacks.archives import EVIL, HOSTILE
from tests.helpers.serving import Serving, serving, settings_in
from tests.helpers.torchserve import ROOT, wait_until_ready
from tests.helpers.waiting import wait_for

BODY = {"instances": [[0.0, 0.1]]}


@pytest.fixture
def private(tmp_path) -> Path:
    make_key(tmp_path / "signing.pem")
    path: Path = tmp_path / "signing.pem"
    return path


def fill(store: Path, signed: Path, unsigned: Path) -> set[str]:
    """One good archive with whatever an attacker could put beside it; the names of that."""
    good = signed.read_bytes()
    shutil.copy(signed, store)
    for kind, (make, _) in HOSTILE.items():
        (store / f"{kind}.mar").write_bytes(make(good))
    shutil.copy(unsigned, store / "unsigned.mar")
    unpack(unsigned, store / "folder")
    (store / "folder" / "service.py").write_bytes(EVIL)
    with tarfile.open(store / "packed.tar.gz", "w:gz") as packed:
        packed.add(store / "folder", "folder")
    (store / "old.model").write_bytes(good)
    return {path.name for path in store.iterdir()} - {signed.name}


def answer(server: Serving, path: str = "circle") -> httpx.Response:
    # Longer than the gateway's own deadline, which ends a request whose worker never comes back.
    return plain_http.post(f"{server.url}/predictions/{path}", json=BODY, timeout=90)


def command(folder: Path, *words: str, key: Path) -> subprocess.CompletedProcess[str]:
    """A command in another folder than the server's, with nothing but the state named."""
    folder.mkdir(exist_ok=True)
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "ONNXSERVE_PUBLIC_KEY": str(key)}
    line = [sys.executable, "-m", "onnxserve", *words]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240)


def test_the_good_archive_of_a_hostile_store_is_served_and_nothing_else_runs(archive, next_archive, private, tmp_path):
    public = private.with_suffix(".pub")
    for source in (archive, next_archive):
        sign_archive(source, private, tmp_path / source.name)
    settings = settings_in(tmp_path / "server", [])
    hostile = fill(settings.store, tmp_path / archive.name, next_archive)
    kept = settings.store
    with serving(settings, tmp_path, "--warm-up", "1", ONNXSERVE_PUBLIC_KEY=str(public)) as server:
        refused = {event["detail"].partition(": ")[0] for event in server.events() if event["event"] == "refused"}
        assert refused == hostile
        assert not [event for event in server.events() if event["event"] == "failed"]
        assert answer(server).json()["predictions"][0]["label"] == "inside"
        assert server.release.management.models() == ["circle"]

        register = ["release", "register", "--state", str(settings.state)]
        unsigned = command(tmp_path / "elsewhere", *register, str(next_archive), key=public)
        assert unsigned.returncode != 0
        assert "not signed" in unsigned.stderr
        assert {path.name for path in kept.iterdir()} == hostile | {archive.name}
        signed = command(tmp_path / "elsewhere", *register, str(tmp_path / next_archive.name), key=public)
        assert signed.returncode == 0, signed.stderr
        assert {path.name for path in kept.iterdir()} == hostile | {archive.name, next_archive.name}
        assert list((tmp_path / "elsewhere").iterdir()) == []
        assert {path.name for path in (settings.state / "store").iterdir()} == {archive.name, next_archive.name}
        assert answer(server, "circle/2.0.0").json()["version"] == "2.0.0"

        before = {path.name for path in kept.iterdir()}
        shutil.copy(next_archive, tmp_path / "posted-9.mar")
        for url in (f"file://{tmp_path}/posted-9.mar", str(kept / "folder")):
            with server.settings.management.client(60) as client:
                client.post("/models", params={"url": url, "model_name": "posted", "synchronous": "false"})
        log = settings.state / "torchserve.log"
        wait_for(lambda: log.read_text(errors="replace").count("the archive is not signed") >= 1)
        assert {path.name for path in kept.iterdir()} == before

        for unpacked in (settings.state / "tmp" / "models").glob("*/service.py"):
            unpacked.write_bytes(EVIL)
        for worker in server.workers("circle"):
            worker.kill()
        wait_for(lambda: "is invalid for service.py" in log.read_text(errors="replace"))
        assert "EVIL" not in answer(server).text


def test_plain_torchserve_with_a_key_loads_nothing_that_its_owner_did_not_sign(
    archive, next_archive, private, tmp_path, monkeypatch
):
    monkeypatch.setenv("ONNXSERVE_PUBLIC_KEY", str(private.with_suffix(".pub")))
    sign_archive(archive, private, tmp_path / archive.name)
    store = tmp_path / "store"
    store.mkdir()
    (store / "second-header.mar").write_bytes(HOSTILE["second-header"][0]((tmp_path / archive.name).read_bytes()))
    unpack(next_archive, store / "folder")
    settings = Settings(ROOT / "config.properties", store, tmp_path / "state")
    server = start_server(settings)
    try:
        with pytest.raises(ServerError, match="can't be loaded"):
            wait_until_ready(server, settings)
        with settings.management.client(60) as client:
            for version in client.get("/models/circle/all").json():
                assert all(worker["status"] != "READY" for worker in version["workers"]), version
    finally:
        server.stop()
    output = server.reason() + (settings.state / "torchserve.log").read_text(errors="replace")
    assert "is invalid for service.py" in output
    assert "the archive is not signed" in output
