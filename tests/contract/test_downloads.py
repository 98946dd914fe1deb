"""Files over HTTP: resumed, checked, bounded, kept, and never fetched twice or against --offline."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from onnxserve.errors import SourceError
from onnxserve.locations import fetch as fetching
from onnxserve.locations import transfer
from onnxserve.locations.fetch import NotCached, NotPinned, fetch
from onnxserve.locations.location import Location
from tests.helpers.file_server import FileServer, Reply, running

CONTENT = bytes(range(256)) * 20_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
PATH = "/rows.parquet"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(transfer, "FIRST_S", 0.0)
    monkeypatch.setattr(fetching, "FIRST_S", 0.0)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with running(FileServer({PATH: CONTENT})) as server:
        yield server


def pinned(server: FileServer, digest: str = DIGEST) -> Location:
    return Location(server.url + PATH, digest)


def test_a_pinned_file_is_fetched_once_and_kept_under_its_name(server, access, tmp_path):
    path = fetch(pinned(server), tmp_path, access)
    assert path.name == "rows.parquet"
    assert path.read_bytes() == CONTENT
    assert fetch(pinned(server), tmp_path, access._replace(offline=True)) == path
    assert len(server.requests) == 1
    assert not list((tmp_path / "cache" / "partial").glob("*/*"))


def test_a_connection_that_breaks_off_is_continued_where_it_ended(server, access, tmp_path):
    server.breaks = [1_000_000, 2_500_000]
    assert fetch(pinned(server), tmp_path, access).read_bytes() == CONTENT
    assert server.ranges_of(PATH) == ["", "bytes=1000000-", "bytes=3500000-"]


def test_a_later_export_continues_the_download_of_an_earlier_one(server, access, tmp_path):
    server.breaks = [1_000_000] + [0] * transfer.TRIES
    with pytest.raises(SourceError, match=r"rows\.parquet could not be fetched") as failure:
        fetch(pinned(server), tmp_path, access)
    assert failure.value.where == pinned(server).url
    server.breaks.clear()
    before = len(server.requests)
    assert fetch(pinned(server), tmp_path, access).read_bytes() == CONTENT
    assert [each.headers["range"] for each in server.requests[before:]] == ["bytes=1000000-"]


def test_a_file_that_changed_meanwhile_is_read_from_its_beginning(server, access, tmp_path):
    server.files[PATH] = b"an earlier version" * 100_000
    server.breaks = [1_000_000] + [0] * transfer.TRIES
    with pytest.raises(SourceError):
        fetch(pinned(server), tmp_path, access)
    server.breaks.clear()
    server.files[PATH] = CONTENT
    assert fetch(pinned(server), tmp_path, access).read_bytes() == CONTENT


@pytest.mark.parametrize("without", ["ranges", "marks"])
def test_a_server_without_ranges_or_marks_serves_too(server, access, tmp_path, without):
    setattr(server, without, False)
    server.breaks = [1_000_000]
    assert fetch(pinned(server), tmp_path, access).read_bytes() == CONTENT


def test_other_bytes_than_the_pinned_ones_are_refused_and_not_kept(server, access, tmp_path):
    with pytest.raises(SourceError, match=f"its SHA-256 is {DIGEST}, {'0' * 64} is pinned"):
        fetch(pinned(server, "0" * 64), tmp_path, access)
    with pytest.raises(NotCached):
        fetch(pinned(server), tmp_path, access._replace(offline=True))


def test_a_location_without_a_pin_is_refused_with_the_pin_and_needs_no_second_download(server, access, tmp_path):
    with pytest.raises(NotPinned) as refusal:
        fetch(pinned(server, ""), tmp_path, access)
    assert refusal.value.pinned == f"{server.url}{PATH}@sha256:{DIGEST}"
    fetch(pinned(server), tmp_path, access._replace(offline=True))
    assert len(server.requests) == 1


def test_bytes_that_were_changed_in_the_cache_are_fetched_again(server, access, tmp_path):
    fetch(pinned(server), tmp_path, access).write_bytes(b"changed")
    assert fetch(pinned(server), tmp_path, access).read_bytes() == CONTENT
    assert len(server.requests) == 2


@pytest.mark.parametrize("announced", [True, False])
def test_more_bytes_than_the_limit_are_refused_before_they_are_written(server, access, tmp_path, announced):
    if not announced:
        chunked = b"".join(b"%x\r\n%b\r\n" % (len(block), block) for block in [CONTENT[:65536]] * 60) + b"0\r\n\r\n"
        headers = {"transfer-encoding": "chunked"}
        server.routes = lambda _: Reply(200, headers, chunked)
    limit = access._replace(limit=1_500_000)
    with pytest.raises(SourceError, match=r"more than 0\.0015 GB"):
        fetch(pinned(server), tmp_path, limit)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 1_500_000


def test_two_exports_at_once_fetch_a_file_once(server, access, tmp_path):
    paths: list[Path] = []
    threads = [threading.Thread(target=lambda: paths.append(fetch(pinned(server), tmp_path, access))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 4
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "message"), [(404, "answers 404"), (401, "refuses access: 401"), (403, "netrc")])
def test_a_refusal_is_said_at_once(server, access, tmp_path, status, message):
    server.routes = lambda _: Reply(status, {})
    with pytest.raises(SourceError, match=message):
        fetch(pinned(server), tmp_path, access)
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again(server, access, tmp_path):
    server.routes = lambda _: Reply(503, {}) if len(server.requests) < 3 else None
    assert fetch(pinned(server), tmp_path, access).read_bytes() == CONTENT


def test_the_password_of_netrc_goes_to_its_host_only(server, access, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    os.link(netrc, tmp_path / ".netrc")
    server.routes = lambda request: None if "authorization" in request.headers else Reply(401, {})
    assert fetch(pinned(server), tmp_path, access).read_bytes() == CONTENT


def test_a_server_that_is_away_is_named(access, tmp_path):
    with running(FileServer()) as server:
        package = pinned(server)
    with pytest.raises(SourceError, match="ConnectError"):
        fetch(package, tmp_path, access)
