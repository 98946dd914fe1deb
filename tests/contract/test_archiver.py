"""Our archives against those of torch-model-archiver."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

from onnxserve.archive import unpack
from tests.helpers.torchserve import running


def archived(archive: Path, folder: Path) -> Path:
    """The same members, packed by torch-model-archiver."""
    source, extra = folder / "source", folder / "extra"
    unpack(archive, source)
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if path.is_file() and inside.parts[0] not in ("MAR-INF", "service.py", "model-config.yaml"):
            (extra / inside).parent.mkdir(parents=True, exist_ok=True)
            (extra / inside).write_bytes(path.read_bytes())
    tool = str(Path(sys.executable).parent / "torch-model-archiver")
    command = [tool, "--model-name", "circle", "--version", "1.0.0", "--handler", str(source / "service.py")]
    command += ["--extra-files", str(extra), "--config-file", str(source / "model-config.yaml")]
    subprocess.run([*command, "--export-path", str(folder)], check=True, capture_output=True)
    return folder / "circle.mar"


def manifest_of(path: Path) -> dict[str, object]:
    with zipfile.ZipFile(path) as opened:
        manifest: dict[str, object] = json.loads(opened.read("MAR-INF/MANIFEST.json"))
    return {key: value for key, value in manifest.items() if key != "createdOn"}


def test_the_manifest_is_the_archivers_and_its_archive_serves_too(archive, tmp_path):
    their_archive = archived(archive, tmp_path)
    assert manifest_of(their_archive) == manifest_of(archive)
    with running(tmp_path / "server", [their_archive]) as server:
        answer = server.post("circle", b"[0, 0]")
        assert answer.json()["predictions"][0]["label"] == "inside"
