"""What is accepted unpacks with TorchServe's own code to exactly the bytes that were checked."""

from __future__ import annotations

import random
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from onnxserve.archive import check_content, unpack, write_archive
from onnxserve.errors import ArchiveError
from onnxserve.torchserve.command import torchserve_home
from tests.helpers.attacks.archives import HOSTILE, rezip

SOURCE = Path(__file__).with_name("Unpack.java")
DAMAGED = 400


def contents_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unpacked_by_torchserve(store: Path, target: Path) -> None:
    target.mkdir()
    jar = torchserve_home() / "ts" / "frontend" / "model-server.jar"
    command = ["java", "-cp", str(jar), str(SOURCE), str(store), str(target)]
    completed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert completed.returncode == 0, completed.stderr


def damaged(archive: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, of which many are in headers."""
    changed = bytearray(archive)
    for _ in range(chance.randint(1, 3)):
        place = archive.find(b"PK", chance.randrange(len(archive)))
        at = min(len(archive) - 1, max(0, place) + chance.randrange(46))
        changed[at] = chance.choice([0, 1, 8, 255, changed[at] ^ (1 << chance.randrange(8))])
    return bytes(changed)


@pytest.mark.skipif(shutil.which("javac") is None, reason="needs a JDK, which compiles the one class of this test")
def test_whatever_is_accepted_unpacks_with_torchserves_code_to_the_bytes_that_were_checked(tmp_path):
    store, ours = tmp_path / "store", tmp_path / "ours"
    store.mkdir()
    members = {
        "service.py": b"class Good: pass\n" * 20,
        "golden.json": b"{}" * 50,
        "handlers_x/base.py": b"# base\n" * 9,
    }
    write_archive(store / "good.mar", members, {"model": {"modelName": "good", "modelVersion": "1.0.0"}})
    good = (store / "good.mar").read_bytes()
    foreign = rezip(good, without=frozenset({"digests.json"}))
    (store / "foreign.mar").write_bytes(foreign)
    chance = random.Random(18)
    for number in range(DAMAGED):
        (store / f"damaged-{number}.mar").write_bytes(damaged([good, foreign][number % 2], chance))
    for kind, (make, _) in HOSTILE.items():
        if kind not in {"bomb", "absolute"}:  # that TorchServe would really unpack
            (store / f"{kind}.mar").write_bytes(make(good))
    unpacked_by_torchserve(store, tmp_path / "theirs")
    accepted = []
    for archive in sorted(store.iterdir()):
        try:
            check_content(archive)
        except ArchiveError:
            continue
        accepted.append(archive.name)
        unpack(archive, ours / archive.name)
        assert not (tmp_path / "theirs" / f"{archive.name}.refused").exists(), archive.name
        assert contents_of(ours / archive.name) == contents_of(tmp_path / "theirs" / archive.name), archive.name
    assert {"good.mar", "foreign.mar"} <= set(accepted)
    assert not set(HOSTILE) & {Path(name).stem for name in accepted}
    # What all this is about: TorchServe takes the second header's handler, and the directory's readers the first.
    assert b"EVIL" in (tmp_path / "theirs" / "second-header.mar" / "service.py").read_bytes()


@pytest.mark.skipif(shutil.which("javac") is None, reason="needs a JDK, which compiles the one class of this test")
def test_torchserve_unpacks_no_program_so_an_archive_brings_no_interpreter_of_its_own(tmp_path):
    """With `useVenv` TorchServe starts `venv/bin/python` of the unpacked archive, before our worker could check it."""
    store = tmp_path / "store"
    store.mkdir()
    with zipfile.ZipFile(store / "evil.mar", "w") as archive:
        interpreter = zipfile.ZipInfo("venv/bin/python")
        interpreter.create_system, interpreter.external_attr = 3, 0o100777 << 16
        archive.writestr(interpreter, "#!/bin/sh\necho EVIL\n")
    unpacked_by_torchserve(store, tmp_path / "unpacked")
    interpreter_file = tmp_path / "unpacked" / "evil.mar" / "venv" / "bin" / "python"
    assert b"EVIL" in interpreter_file.read_bytes()
    assert interpreter_file.stat().st_mode & 0o111 == 0
