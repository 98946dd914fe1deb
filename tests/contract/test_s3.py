"""S3 by s3fs's own client, against a stand-in that answers as the S3 API does; it needs `onnxserve[s3]`."""

from __future__ import annotations

import hashlib
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
from tests.helpers.file_server import FileServer, ReceivedRequest, Reply, running

s3fs = pytest.importorskip("s3fs", reason="onnxserve[s3] is not installed")

CONTENT = bytes(range(256)) * 40_000
OBJECTS = {"weights/model.onnx": CONTENT, "weights/config.json": b"{}", "rows.csv": b"x\n1\n"}


def listing(query: dict[str, list[str]]) -> Reply:
    """ListObjectsV2: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html."""
    prefix, delimiter = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
    keys, folders = list[str](), set[str]()
    for key in sorted(OBJECTS):
        rest = key.removeprefix(prefix)
        if key.startswith(prefix) and delimiter and delimiter in rest:
            folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
        elif key.startswith(prefix):
            keys.append(key)
    contents = [
        f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f"<ETag>&quot;{key}&quot;</ETag><Size>{len(OBJECTS[key])}</Size></Contents>"
        for key in keys
    ]
    common = [f"<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>" for folder in sorted(folders)]
    body = (
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name>'
        f"<Prefix>{escape(prefix)}</Prefix><KeyCount>{len(keys)}</KeyCount><MaxKeys>1000</MaxKeys>"
        f"<IsTruncated>false</IsTruncated>{''.join(contents + common)}</ListBucketResult>"
    )
    return Reply(200, {"content-type": "application/xml"}, body.encode())


@pytest.fixture
def store(monkeypatch) -> Iterator[FileServer]:
    def routes(request: ReceivedRequest) -> Reply | None:
        address = urlsplit(request.path)
        if not request.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 Credential=me/"):
            return Reply(403, {})
        return listing(parse_qs(address.query)) if unquote(address.path).strip("/") == "bucket" else None

    files = {f"/bucket/{key}": content for key, content in OBJECTS.items()}
    monkeypatch.setattr(transfer, "FIRST_S", 0.0)
    monkeypatch.setattr(fetching, "FIRST_S", 0.0)
    with running(FileServer(files, routes)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        s3fs.S3FileSystem.clear_instance_cache()
        yield server
        s3fs.S3FileSystem.clear_instance_cache()


def test_an_object_is_fetched_with_the_keys_of_the_environment(store, access):
    location = Location("s3://bucket/weights/model.onnx", hashlib.sha256(CONTENT).hexdigest())
    assert fetch(location, Path(), access).read_bytes() == CONTENT


def test_a_prefix_is_a_folder(store, access):
    folder = fetch_pinned("s3://bucket/weights/", access)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.onnx"]


def test_wrong_keys_are_said(store, access, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    with pytest.raises(SourceError, match="refuses access") as refusal:
        fetch(Location("s3://bucket/rows.csv"), Path(), access)
    assert "AWS_ACCESS_KEY_ID" in refusal.value.fix
