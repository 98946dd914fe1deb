"""Repositories of a hub, by huggingface_hub's own client against a stand-in that answers as the Hub's API does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from onnxserve.errors import SourceError
from onnxserve.locations import fetch as fetching
from onnxserve.locations import transfer
from onnxserve.locations.cache import digest_of
from onnxserve.locations.fetch import fetch
from onnxserve.locations.location import Location
from tests.helpers.downloads import pin_of
from tests.helpers.file_server import FileServer, running
from tests.helpers.hub import COMMIT, REPO, Hub

WEIGHTS = bytes(range(256)) * 4000
FILES = {
    ".gitattributes": b"*.safetensors filter=lfs",
    "config.json": b"{}",
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"the same weights",
    "onnx/model.onnx": b"the same graph",
    "1_Pooling/config.json": b'{"pooling": "mean"}',
}
TAKEN = {"config.json", "model.safetensors", "1_Pooling/config.json"}


@pytest.fixture
def hub(monkeypatch) -> Iterator[Hub]:
    with running(FileServer()) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setattr(transfer, "FIRST_S", 0.0)
        monkeypatch.setattr(fetching, "FIRST_S", 0.0)
        yield Hub(server, FILES)


def test_a_repository_is_a_folder_without_weights_of_other_frameworks(hub, access):
    location = pin_of(f"hf://{REPO}", access)
    assert location.url == f"hf://{REPO}@{COMMIT}"
    folder = fetch(location, Path(), access._replace(offline=True))
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == TAKEN
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert digest_of(folder) == location.sha256


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("onnx", {"model.onnx"}),
        ("*.json", {"config.json"}),
        ("**/*.json", {"config.json", "1_Pooling/config.json"}),
    ],
)
def test_a_folder_and_a_glob_of_a_repository_are_folders(hub, access, path, names):
    folder = fetch(pin_of(f"hf://{REPO}@v1/{path}", access), Path(), access)
    assert {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()} == names


def test_one_file_is_pinned_by_the_digest_that_the_hub_shows(hub, access):
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    path = fetch(Location(f"hf://{REPO}@main/model.safetensors", digest), Path(), access)
    assert (path.name, path.read_bytes()) == ("model.safetensors", WEIGHTS)


def test_a_download_is_continued(hub, access):
    hub.server.breaks = [10**6, 10**6, 500_000]  # the commit and the tree come whole
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    fetch(Location(f"hf://{REPO}@main/model.safetensors", digest), Path(), access)
    assert hub.server.ranges_of(f"/{REPO}/resolve/{COMMIT}/model.safetensors") == ["", "bytes=500000-"]


def test_a_data_set_is_a_repository_too(hub, access):
    Hub(hub.server, FILES, kind="datasets")
    path = fetch(Location(f"hf://datasets/{REPO}/config.json", hashlib.sha256(b"{}").hexdigest()), Path(), access)
    assert path.read_bytes() == b"{}"


def test_a_private_repository_wants_the_token_of_the_environment(hub, access, monkeypatch):
    hub.token = "hf_secret"
    location = Location(f"hf://{REPO}/config.json", hashlib.sha256(b"{}").hexdigest())
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "")
    with pytest.raises(SourceError, match="the hub answers 401") as refusal:
        fetch(location, Path(), access)
    assert "HF_TOKEN" in refusal.value.fix
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert fetch(location, Path(), access).read_bytes() == b"{}"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("hf://", "not the address of a repository"),
        ("hf://owner/none", "the hub answers 404"),
        (f"hf://{REPO}@main/nothing.bin", "has no nothing.bin"),
    ],
)
def test_what_is_not_there_is_said(hub, access, url, message):
    with pytest.raises(SourceError, match=message):
        fetch(Location(url), Path(), access)
