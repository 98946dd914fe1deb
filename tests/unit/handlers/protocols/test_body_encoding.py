"""Compressed bodies are read like others, and their inflated size is bounded."""

from __future__ import annotations

import bz2
import gzip
import json
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxserve_handlers.errors import BodyTooLarge, RequestError, UndecodableBody, UnsupportedMedia
from onnxserve_handlers.protocols.body import MEMBERS, decode
from tests.helpers.inference import HEADER, JSON, features, send

ROW = b"[1, 2]"


def sent(body: bytes, encoding: str = "gzip", **headers: str) -> tuple[bytes, dict[str, str]]:
    return body, {"content-type": JSON, "content-encoding": encoding, **headers}


def zipped(content: bytes, level: int = 9) -> bytes:
    """Compressed without the time, so that every process collects the same tests."""
    return gzip.compress(content, level, mtime=0)


@pytest.mark.parametrize("encoding", ["gzip", "GZip", "x-gzip", " gzip "])
def test_a_compressed_row_is_answered_like_a_plain_one(table, encoding):
    compressed, plain, identity = send(
        table, sent(gzip.compress(ROW), encoding), (ROW, {"content-type": JSON}), sent(ROW, "identity")
    )
    assert (compressed[0], compressed[2]) == (200, plain[2])
    assert identity[2] == plain[2]


@pytest.mark.parametrize("body", [zlib.compress(ROW), zlib.compress(ROW, 1), zlib.compress(ROW, wbits=-15)])
def test_deflate_is_read_with_and_without_the_header_of_zlib(table, body):
    deflated, plain = send(table, sent(body, "deflate"), (ROW, {"content-type": JSON}))
    assert (deflated[0], deflated[2]) == (200, plain[2])


def test_a_header_is_known_however_it_is_spelt(table):
    [(status, _, _)] = send(table, (gzip.compress(ROW), {"Content-Type": JSON, "Content-Encoding": "gzip"}))
    assert status == 200


def test_a_length_of_json_counts_inflated_bytes(table):
    tensor = {**features([]), "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    del tensor["data"]
    head = json.dumps({"inputs": [tensor]}).encode()
    body = gzip.compress(head + bytes(8))
    [(status, _, answer)] = send(table, sent(body, **{HEADER: str(len(head))}))
    assert (status, len(json.loads(answer)["outputs"])) == (200, 3)


@pytest.mark.parametrize(
    ("body", "encoding", "status", "kind", "words"),
    [
        (b"\x1f\x8b", "gzip", 400, "undecodable_body", "cut off"),
        (zipped(ROW)[:-1], "gzip", 400, "undecodable_body", "cut off"),
        (zipped(ROW) + b"rest", "gzip", 400, "undecodable_body", "not gzip"),
        (ROW, "gzip", 400, "undecodable_body", "not gzip"),
        (zlib.compress(ROW), "gzip", 400, "undecodable_body", "not gzip"),
        (zipped(ROW)[:-8] + bytes(8), "gzip", 400, "undecodable_body", "not gzip"),
        (zipped(b""), "gzip", 400, "undecodable_body", "empty"),
        (zipped(ROW), "deflate", 400, "undecodable_body", "not deflate"),
        (zlib.compress(ROW)[:-1], "deflate", 400, "undecodable_body", "cut off"),
        (zlib.compress(ROW) + b"rest", "deflate", 400, "undecodable_body", "members"),
        (zlib.compress(bytes(65537)), "deflate", 413, "too_large", "more than 65536 bytes"),
        (bz2.compress(ROW), "br", 415, "unsupported_media_type", "send gzip"),
        (zipped(zipped(ROW)), "gzip, gzip", 415, "unsupported_media_type", "send gzip"),
        (zipped(bytes(65537)), "gzip", 413, "too_large", "more than 65536 bytes"),
        (zipped(ROW, 0) * (MEMBERS + 1), "gzip", 400, "undecodable_body", "members"),
    ],
)
def test_what_can_not_be_inflated_fails_alone(table, body, encoding, status, kind, words):
    (code, headers, answer), (neighbour, _, _) = send(table, sent(body, encoding), (ROW, {}))
    assert (code, headers["x-onnxserve-error"], neighbour) == (status, kind, 200)
    assert words in answer.decode()


def test_a_bomb_costs_no_more_than_the_bound():
    bomb = gzip.compress(bytes(2**28))
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            decode(bomb, "gzip", 2**20)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


@given(st.lists(st.binary(max_size=99), min_size=1, max_size=MEMBERS), st.integers(0, 300))
def test_members_are_joined_up_to_the_bound(parts, bound):
    whole = b"".join(parts)
    body = b"".join(map(gzip.compress, parts))
    if len(whole) <= bound:
        assert decode(body, "gzip", bound) == whole
    else:
        with pytest.raises(BodyTooLarge):
            decode(body, "gzip", bound)


@given(st.binary(max_size=80), st.binary(max_size=9), st.integers(0, 99), st.sampled_from(["gzip", "deflate"]))
def test_any_bytes_are_inflated_or_refused(content, change, at, coding):
    body = bytearray(gzip.compress(content) if coding == "gzip" else zlib.compress(content))
    body[at : at + len(change)] = change
    try:
        assert len(decode(body, coding, 1000)) <= 1000
    except RequestError as error:
        assert isinstance(error, UndecodableBody | BodyTooLarge)  # noqa: PT017 - either, or none


@given(st.text())
def test_any_other_coding_is_refused_by_name(coding):
    if coding.strip().lower() in {"", "identity", "gzip", "x-gzip", "deflate"}:
        return
    with pytest.raises(UnsupportedMedia) as caught:
        decode(b"x", coding, 9)
    assert caught.value.where == "Content-Encoding"
