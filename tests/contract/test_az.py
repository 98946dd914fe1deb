"""Azure Blob Storage by adlfs's own client, against a stand-in that answers as the REST API does.

It needs `onnxserve[az]`. https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from onnxserve.errors import SourceError
from onnxserve.locations import fetch as fetching
from onnxserve.locations import transfer
from onnxserve.locations.fetch import fetch
from onnxserve.locations.location import Location
from tests.helpers.downloads import fetch_pinned
from tests.helpers.file_server import RANGE, FileServer, ReceivedRequest, Reply, running

adlfs = pytest.importorskip("adlfs", reason="onnxserve[az] is not installed")

CONTENT = bytes(range(256)) * 40_000
OBJECTS = {"weights/model.onnx": CONTENT, "weights/config.json": b"{}", "rows.csv": b"x\n1\n"}
KEY = "c2VjcmV0"
WHEN = "Thu, 01 Jan 2026 00:00:00 GMT"
XML = {"content-type": "application/xml"}


def properties(key: str) -> str:
    size = len(OBJECTS[key])
    return (
        f"<Blob><Name>{escape(key)}</Name><Properties><Last-Modified>{WHEN}</Last-Modified><Etag>{key}</Etag>"
        f"<Content-Length>{size}</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>"
    )


def listing(prefix: str, delimiter: str) -> str:
    below = [key for key in sorted(OBJECTS) if key.startswith(prefix)]
    deeper = {key for key in below if delimiter and delimiter in key.removeprefix(prefix)}
    folders = {prefix + key.removeprefix(prefix).partition(delimiter)[0] + delimiter for key in deeper}
    blobs = [properties(key) for key in below if key not in deeper]
    blobs += [f"<BlobPrefix><Name>{folder}</Name></BlobPrefix>" for folder in sorted(folders)]
    return (
        '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="box">'
        f"<Blobs>{''.join(blobs)}</Blobs><NextMarker /></EnumerationResults>"
    )


def download(request: ReceivedRequest, content: bytes, key: str) -> Reply:
    headers = {"last-modified": WHEN, "etag": f'"{key}"', "x-ms-blob-type": "BlockBlob", "accept-ranges": "bytes"}
    span = RANGE.fullmatch(request.headers.get("x-ms-range", request.headers.get("range", "")))
    if request.method == "HEAD" or span is None:
        return Reply(200, {**headers, "content-length": str(len(content))}, content)
    first, last = int(span[1]), min(int(span[2] or len(content) - 1), len(content) - 1)
    headers["content-range"] = f"bytes {first}-{last}/{len(content)}"
    return Reply(206, headers, content[first : last + 1])


def reply(request: ReceivedRequest) -> Reply:
    address = urlsplit(request.path)
    path, query = unquote(address.path).removeprefix("/me"), parse_qs(address.query)
    if not request.headers.get("authorization", "").startswith("SharedKey me:"):
        return Reply(403, XML)
    if path == "/box" and query.get("comp") == ["list"]:
        text = listing(query.get("prefix", [""])[0], query.get("delimiter", [""])[0])
        return Reply(200, XML, text.encode())
    if path == "/box":
        return Reply(200, {"last-modified": WHEN, "etag": '"box"'})
    key = path.removeprefix("/box/")
    return download(request, OBJECTS[key], key) if key in OBJECTS else Reply(404, XML)


@pytest.fixture
def store(monkeypatch) -> Iterator[FileServer]:
    monkeypatch.setattr(transfer, "FIRST_S", 0.0)
    monkeypatch.setattr(fetching, "FIRST_S", 0.0)
    with running(FileServer(routes=reply)) as server:
        account = f"DefaultEndpointsProtocol=http;AccountName=me;AccountKey={KEY};BlobEndpoint={server.url}/me;"
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", account)
        adlfs.AzureBlobFileSystem.clear_instance_cache()
        yield server
        adlfs.AzureBlobFileSystem.clear_instance_cache()


def test_a_blob_is_fetched_with_the_accounts_key(store, access):
    assert fetch_pinned("az://box/weights/model.onnx", access).read_bytes() == CONTENT


def test_a_prefix_is_a_folder(store, access):
    folder = fetch_pinned("az://box/weights/", access)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.onnx"]


def test_what_is_not_there_is_said(store, access):
    with pytest.raises(SourceError, match="no such object"):
        fetch(Location("az://box/nothing.csv"), Path(), access)
