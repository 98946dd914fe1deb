"""Google Cloud Storage by gcsfs's own client, against a stand-in that answers as the JSON API does.

It needs `onnxserve[gs]`. https://cloud.google.com/storage/docs/json_api/v1/objects
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from fsspec.config import conf

from onnxserve.errors import SourceError
from onnxserve.locations import fetch as fetching
from onnxserve.locations import transfer
from onnxserve.locations.fetch import fetch
from onnxserve.locations.location import Location
from tests.helpers.downloads import fetch_pinned
from tests.helpers.file_server import FileServer, ReceivedRequest, Reply, running

# gcsfs asks for a bucket's kind over gRPC, which the stand-in doesn't speak, and retries for minutes. It reads this
# variable as it is imported.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
gcsfs = pytest.importorskip("gcsfs", reason="onnxserve[gs] is not installed")

CONTENT = bytes(range(256)) * 40_000
OBJECTS = {"weights/model.onnx": CONTENT, "weights/config.json": b"{}", "rows.csv": b"x\n1\n"}
ROOT = "/storage/v1/b/bucket/o"


def resource(key: str) -> dict[str, str]:
    return {"kind": "storage#object", "name": key, "bucket": "bucket", "size": str(len(OBJECTS[key])), "etag": key}


def listing(prefix: str, delimiter: str) -> dict[str, object]:
    below = [key for key in sorted(OBJECTS) if key.startswith(prefix)]
    deeper = {key for key in below if delimiter and delimiter in key.removeprefix(prefix)}
    prefixes = {prefix + key.removeprefix(prefix).partition(delimiter)[0] + delimiter for key in deeper}
    items = [resource(key) for key in below if key not in deeper]
    return {"kind": "storage#objects", "items": items, "prefixes": sorted(prefixes)}


def reply(request: ReceivedRequest) -> Reply | None:
    """Answer metadata and listings; downloads are the files of the server."""
    address = urlsplit(request.path)
    path, query = unquote(address.path), parse_qs(address.query)
    headers = {"content-type": "application/json"}
    if path == ROOT:
        document = listing(query.get("prefix", [""])[0], query.get("delimiter", [""])[0])
        return Reply(200, headers, json.dumps(document).encode())
    key = path.removeprefix(f"{ROOT}/")
    if path.startswith(f"{ROOT}/"):
        is_known = key in OBJECTS
        return Reply(200 if is_known else 404, headers, json.dumps(resource(key) if is_known else {}).encode())
    return None


class DecodingServer(FileServer):
    """Files by their unquoted path, since an object's name is one quoted part of its URL."""

    def reply(self, request: ReceivedRequest) -> Reply:
        path = unquote(urlsplit(request.path).path)
        return super().reply(request if path.startswith("/storage") else request._replace(path=path))


@pytest.fixture
def store(monkeypatch) -> Iterator[FileServer]:
    files = {f"/download{ROOT}/{key}": content for key, content in OBJECTS.items()}
    monkeypatch.setattr(transfer, "FIRST_S", 0.0)
    monkeypatch.setattr(fetching, "FIRST_S", 0.0)
    with running(DecodingServer(files, reply)) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        for scheme in ("gs", "gcs"):
            monkeypatch.setitem(conf, scheme, {"token": "anon"})
        gcsfs.GCSFileSystem.clear_instance_cache()
        yield server
        gcsfs.GCSFileSystem.clear_instance_cache()


def test_an_object_is_fetched(store, access):
    assert fetch_pinned("gs://bucket/weights/model.onnx", access).read_bytes() == CONTENT


def test_a_prefix_is_a_folder(store, access):
    folder = fetch_pinned("gs://bucket/weights/", access)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.onnx"]


def test_what_is_not_there_is_said(store, access):
    with pytest.raises(SourceError, match="no such object"):
        fetch(Location("gs://bucket/nothing.csv"), Path(), access)
