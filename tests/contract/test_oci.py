"""Images and artifacts of a registry that answers as the distribution specification says."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from onnxserve.archive.pull import pull
from onnxserve.errors import ArchiveError, SourceError
from onnxserve.locations import fetch as fetching
from onnxserve.locations import transfer
from onnxserve.locations.fetch import Access, fetch
from onnxserve.locations.location import Location
from tests.helpers.downloads import fetch_pinned
from tests.helpers.file_server import FileServer, ReceivedRequest, Reply, running

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
REPOSITORY = "models/tiny"
GRAPH = bytes(range(256)) * 2000


class Registry:
    """A registry with one repository; with `token`, it sends clients to its token service first."""

    def __init__(self, server: FileServer) -> None:
        self.server, self.token, self.password = server, "", ""
        server.routes = self.reply

    def push(self, document: dict[str, object], tag: str = "v1") -> str:
        content = json.dumps(document).encode()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        for reference in (tag, digest):
            self.server.files[f"/v2/{REPOSITORY}/manifests/{reference}"] = content
        return digest

    def layer(self, content: bytes, title: str = "") -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.server.files[f"/v2/{REPOSITORY}/blobs/{digest}"] = content
        annotations = {"annotations": {"org.opencontainers.image.title": title}} if title else {}
        return {"mediaType": "application/octet-stream", "digest": digest, "size": len(content), **annotations}

    def reply(self, request: ReceivedRequest) -> Reply | None:
        if request.path.startswith("/token"):
            basic = base64.b64encode(f"me:{self.password}".encode()).decode()
            if self.password and request.headers.get("authorization") != f"Basic {basic}":
                return Reply(401, {})
            return Reply(200, {}, json.dumps({"token": self.token}).encode())
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            challenge = f'Bearer realm="{self.server.url}/token",service="here",scope="repository:{REPOSITORY}:pull"'
            return Reply(401, {"www-authenticate": challenge})
        return None


@pytest.fixture
def registry(monkeypatch, tmp_path) -> Iterator[Registry]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setattr(transfer, "FIRST_S", 0.0)
    monkeypatch.setattr(fetching, "FIRST_S", 0.0)
    with running(FileServer()) as server:
        yield Registry(server)


def url_of(registry: Registry, tag: str = ":v1") -> str:
    return f"oci://127.0.0.1:{registry.server.port}/{REPOSITORY}{tag}"


def fetched(registry: Registry, access: Access, url: str = "") -> Path:
    return fetch_pinned(url or url_of(registry), access)


def packed(files: dict[str, bytes | None]) -> bytes:
    """A layer: a compressed tar; None is a link to another place."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as layer:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            else:
                member.size = len(content)
            layer.addfile(member, io.BytesIO(content or b""))
    return gzip.compress(stream.getvalue())


def test_the_only_file_of_an_artifact_is_the_answer_and_its_pin_is_the_manifests(registry, access):
    digest = registry.push({"mediaType": MANIFEST, "layers": [registry.layer(GRAPH, "model.onnx")]})
    path = fetched(registry, access)
    assert (path.name, path.read_bytes()) == ("model.onnx", GRAPH)
    assert fetch(Location(url_of(registry, ""), digest.removeprefix("sha256:")), Path(), access) == path


def test_layers_of_an_image_are_unpacked_over_each_other(registry, access):
    lower = packed({"models/a.onnx": b"old", "models/b.onnx": b"b", "cache/x": b"x", "link": None})
    upper = packed({"models/a.onnx": b"new", "models/.wh.b.onnx": b"", "cache/.wh..wh..opq": b"", "cache/y": b"y"})
    registry.push({"mediaType": MANIFEST, "layers": [registry.layer(lower), registry.layer(upper)]})
    folder = fetched(registry, access)
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert files == {"models/a.onnx": b"new", "cache/y": b"y"}


def test_an_index_leads_to_the_image_of_this_machine(registry, access, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    images = []
    for architecture in ("amd64", "arm64"):
        layer = registry.layer(architecture.encode(), "name")
        digest = registry.push({"mediaType": MANIFEST, "layers": [layer]}, tag=architecture)
        images.append({"digest": digest, "platform": {"os": "linux", "architecture": architecture}})
    registry.push({"mediaType": INDEX, "manifests": images})
    assert fetched(registry, access).read_bytes() == b"arm64"


def test_a_layer_that_breaks_off_is_continued(registry, access):
    layer = registry.layer(GRAPH, "model.onnx")
    registry.push({"mediaType": MANIFEST, "layers": [layer]})
    registry.server.breaks = [10**6, 100_000]  # the manifest comes whole
    assert fetched(registry, access).read_bytes() == GRAPH
    assert registry.server.ranges_of(f"/v2/{REPOSITORY}/blobs/{layer['digest']}") == ["", "bytes=100000-"]


@pytest.mark.parametrize("password", ["", "secret"])
def test_a_registry_with_tokens_is_asked_with_the_password_of_docker_login(registry, access, tmp_path, password):
    registry.token, registry.password = "t0ken", password
    registry.push({"mediaType": MANIFEST, "layers": [registry.layer(GRAPH, "model.onnx")]})
    if password:
        (tmp_path / "docker").mkdir()
        auth = base64.b64encode(f"me:{password}".encode()).decode()
        host = f"127.0.0.1:{registry.server.port}"
        (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    assert fetched(registry, access).read_bytes() == GRAPH


def test_another_manifest_or_layer_than_the_named_one_is_refused(registry, access):
    layer = registry.layer(GRAPH, "model.onnx")
    digest = registry.push({"mediaType": MANIFEST, "layers": [layer]})
    registry.server.files[f"/v2/{REPOSITORY}/blobs/{layer['digest']}"] = b"\0" * len(GRAPH)
    with pytest.raises(SourceError, match="the service states"):
        fetch(Location(url_of(registry)), Path(), access)
    registry.server.files[f"/v2/{REPOSITORY}/manifests/{digest}"] = b"{}"
    with pytest.raises(SourceError, match="the manifest has SHA-256"):
        fetch(Location(url_of(registry), digest.removeprefix("sha256:")), Path(), access)


@pytest.mark.parametrize(
    ("title", "content", "message"),
    [
        ("../outside", b"x", "a path below the location"),
        ("", b"no tar", "a layer can't be unpacked"),
        ("", packed({"../outside": b"x"}), "a layer can't be unpacked"),
    ],
)
def test_a_layer_that_would_write_elsewhere_or_is_none_is_refused(registry, access, tmp_path, title, content, message):
    registry.push({"mediaType": MANIFEST, "layers": [registry.layer(content, title)]})
    with pytest.raises(SourceError, match=message):
        fetch(Location(url_of(registry)), Path(), access)
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize(
    ("url", "message"),
    [("oci://host", "not the address of an image"), ("", "the server answers 404")],
)
def test_what_is_not_there_is_said(registry, access, url, message):
    with pytest.raises(SourceError, match=message):
        fetch(Location(url or url_of(registry)), Path(), access)


def test_archive_pull_stores_the_archive_that_an_artifact_holds(registry, archive, tmp_path, monkeypatch):
    monkeypatch.setenv("ONNXSERVE_CACHE", str(tmp_path / "cache"))
    digest = registry.push({"mediaType": MANIFEST, "layers": [registry.layer(archive.read_bytes(), archive.name)]})
    stored = pull(url_of(registry), digest.removeprefix("sha256:"), tmp_path / "store")
    assert (stored.name, stored.read_bytes()) == (archive.name, archive.read_bytes())


def test_archive_pull_refuses_an_artifact_that_is_no_single_archive(registry, tmp_path, monkeypatch):
    monkeypatch.setenv("ONNXSERVE_CACHE", str(tmp_path / "cache"))
    digest = registry.push({"mediaType": MANIFEST, "layers": [registry.layer(GRAPH, "model.onnx")]})
    with pytest.raises(ArchiveError, match="isn't one archive") as refusal:
        pull(url_of(registry), digest.removeprefix("sha256:"), tmp_path / "store")
    assert "oras push" in refusal.value.fix
    assert not (tmp_path / "store").exists()
