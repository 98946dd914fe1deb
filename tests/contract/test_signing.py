"""Our signatures against OpenSSF model signing's own command line."""

import subprocess
import sys
from pathlib import Path

from onnxserve.archive import make_key, sign_archive, unpack


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    tool = [sys.executable, "-m", "model_signing", *arguments]
    return subprocess.run(tool, capture_output=True, text=True, check=False, timeout=120)


def test_the_librarys_own_command_accepts_what_we_sign_and_refuses_it_changed(archive, tmp_path: Path):
    public = make_key(tmp_path / "signing.pem")
    sign_archive(archive, tmp_path / "signing.pem", tmp_path / archive.name)
    folder = tmp_path / "open"
    unpack(tmp_path / archive.name, folder)
    verify = ["verify", "key", str(folder), "--signature", str(folder / "model.sig"), "--public_key", str(public)]
    accepted = command(*verify)
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    (folder / "golden.json").write_bytes((folder / "golden.json").read_bytes() + b" ")
    assert command(*verify).returncode != 0
