"""Imports of models that lie elsewhere: a wheel, a signed URL, a Triton repository in a bucket; and later exports."""

from __future__ import annotations

import hashlib
import json
import shutil
import tomllib
import zipfile
from pathlib import Path

import fsspec
import pytest

from onnxserve.archive import contents
from onnxserve.definition import read_definition
from onnxserve.errors import DefinitionError
from onnxserve_export.export import export_model
from onnxserve_export.importing import ImportOptions, import_model
from onnxserve_export.options import ExportOptions
from onnxserve_export.steps import STEPS
from tests.helpers.artefacts import linear_graph, write_triton
from tests.helpers.file_server import FileServer, running

SECRET = "X-Amz-Credential=me&X-Amz-Signature=5ec2e7"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ONNXSERVE_CACHE", str(tmp_path / "cache"))


def check_export(folder: Path, source: str) -> None:
    """The folder exports from the cache alone."""
    state = export_model(
        folder, folder / "store", STEPS, lambda _: None, options=ExportOptions(draft=True, offline=True)
    )
    assert json.loads(json.dumps(state.evidence["source"]))["location"] == source
    assert state.evidence["summary"]["variant"] == "fp32"


def test_the_graph_of_a_wheel_is_imported_by_the_packages_name_alone(tmp_path, monkeypatch):
    wheel = tmp_path / "wheels" / "tiny-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    info = "tiny-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny/models/net.onnx", linear_graph().SerializeToString())
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    imported = import_model("pypi://tiny", "net", tmp_path / "models", ImportOptions())
    source, _, digest = imported.definition.source.rpartition("@sha256:")
    assert source == "pypi://tiny@1.0"
    wheel.unlink()
    check_export(imported.folder, source)
    assert len(digest) == 64


def test_the_signature_of_a_url_is_used_once_and_written_nowhere(tmp_path):
    content, graph = f"?versionId=7&{SECRET}", linear_graph().SerializeToString()
    (tmp_path / "models").mkdir()
    with running(FileServer({"/net.onnx": graph, "/rows.jsonl": b'{"input": [1, 2, 3]}\n'})) as server:
        options = ImportOptions(rows=f"{server.url}/rows.jsonl{content}", columns="a,b,c")
        lines: list[str] = []
        imported = import_model(f"{server.url}/net.onnx{content}", "net", tmp_path / "models", options, lines.append)
        unwritten = "is written without X-Amz-Credential, X-Amz-Signature, since they may grant access"
        assert f"      {server.url}/net.onnx {unwritten}" in lines
        assert {request.path for request in server.requests} == {
            f"/{name}{content}" for name in ("net.onnx", "rows.jsonl")
        }
    document = tomllib.loads((imported.folder / "model.toml").read_text())
    assert document["source"] == f"{server.url}/net.onnx?versionId=7@sha256:{hashlib.sha256(graph).hexdigest()}"
    check_export(imported.folder, f"{server.url}/net.onnx")
    [archive] = (imported.folder / "store").glob("*.mar")
    written = [*contents(archive)[0].values(), (imported.folder / "model.toml").read_bytes()]
    assert len(written) > 20
    assert not [content for content in written if b"5ec2e7" in content]


def test_a_definition_that_holds_a_signature_is_refused(tmp_path):
    with running(FileServer({"/net.onnx": linear_graph().SerializeToString()})) as server:
        imported = import_model(f"{server.url}/net.onnx", "net", tmp_path / "models", ImportOptions())
    toml = imported.folder / "model.toml"
    toml.write_text(toml.read_text().replace("net.onnx@", f"net.onnx?{SECRET}@"))
    with pytest.raises(DefinitionError, match="source holds credentials") as refusal:
        read_definition(imported.folder)
    assert "remove X-Amz-Credential, X-Amz-Signature" in str(refusal.value)
    assert "5ec2e7" not in str(refusal.value)


def test_a_triton_repository_in_a_bucket_is_imported_and_exports_from_the_cache(tmp_path):
    repository, url = write_triton(tmp_path / "repository"), f"memory://{tmp_path.name}/repository"
    for path in repository.rglob("*"):
        if path.is_file():
            with fsspec.open(f"{url}/{path.relative_to(repository).as_posix()}", "wb") as stream:
                stream.write(path.read_bytes())
    shutil.rmtree(repository)
    imported = import_model(url, "net", tmp_path / "models", ImportOptions())
    assert imported.definition.source.startswith(f"{url}@sha256:")
    assert imported.definition.labels == ("low", "high")
    check_export(imported.folder, url)
