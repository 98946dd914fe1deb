"""Calls of V2 over gRPC through a real nginx, before an upstream that answers as a handler does."""

from __future__ import annotations

import base64
import contextlib
import json
import struct
import time
from collections.abc import Iterator
from typing import Any

import grpc
import msgspec
import pytest

from onnxserve.gateway import Roles
from onnxserve.gateway.config import Auth, Guard, Limits
from onnxserve.gateway.keys import Key, add
from onnxserve.gateway.roles import Canary
from tests.helpers.gateway import STABLE, WAIT_S, Client, client_of, config, gateway_of
from tests.helpers.messages import SERVICE, kind, message_of

ASKED = {"name": "features", "datatype": "FP32", "shape": [1, 2], "contents": {"fp32_contents": [1, 2]}}
WHOLE = message_of("ModelInferRequest", model_name="demo", inputs=[ASKED]).SerializeToString()


def call(client: Client, method: str, keys: dict[str, str] | None = None, **fields: Any) -> Any:
    """`called` is another method's name, `sent` are other bytes; `options` and `compression` are gRPC's."""
    called, sent, options, compression = (
        fields.pop(name, None) for name in ("called", "sent", "options", "compression")
    )
    request = message_of(f"{method}Request", **fields)
    target = client.gateway.url.removeprefix("http://")
    with grpc.insecure_channel(target, options=options) as channel:
        path = f"/{SERVICE}/{called or method}"
        ask = channel.unary_unary(path, response_deserializer=kind(f"{method}Response").FromString)
        body = sent or request.SerializeToString()
        return ask(body, timeout=20, metadata=list((keys or {}).items()), compression=compression)


def infer(client: Client, keys: dict[str, str] | None = None, **fields: Any) -> Any:
    return call(client, "ModelInfer", keys, **{"model_name": "demo", "inputs": [ASKED], **fields})


@contextlib.contextmanager
def refused(code: grpc.StatusCode, *texts: str) -> Iterator[None]:
    with pytest.raises(grpc.RpcError) as caught:
        yield
    assert caught.value.code() is code, caught.value.details()
    assert all(text in caught.value.details() for text in texts), caught.value.details()


def tensors(*outputs: tuple[str, str, bytes]) -> bytes:
    """An answer as a handler gives it."""
    shown = [{"name": name, "datatype": datatype, "shape": [1]} for name, datatype, _ in outputs]
    raw = [content for _, _, content in outputs]
    message = message_of("ModelInferResponse", model_name="demo", model_version="1.0", outputs=shown)
    message.raw_output_contents.extend(raw)
    return framed(message)


def framed(message: Any) -> bytes:
    """One message as gRPC frames it."""
    content: bytes = message.SerializeToString()
    return b"\0" + struct.pack(">I", len(content)) + content


LABEL = ("label", "BYTES", struct.pack("<I", 1) + b"x")
SCORE = ("score", "FP32", struct.pack("<f", 0.123456))


@contextlib.contextmanager
def calling(upstream, folder, **tables: Any) -> Iterator[Client]:
    upstream.answer = lambda path, _: (200, tensors(LABEL, SCORE))
    upstream.headers = {"x-grpc-status": "0"}
    with client_of(gateway_of(config(**tables), folder, upstream.port), Roles({"demo": STABLE})) as client:
        yield client


@pytest.fixture
def client(upstream, tmp_path) -> Iterator[Client]:
    with calling(upstream, tmp_path) as gateway_client:
        yield gateway_client


def test_calls_about_server_and_models_say_what_http_says(client, upstream):
    assert call(client, "ServerLive").live
    assert call(client, "ServerReady").ready
    assert call(client, "ServerMetadata").name == "onnxserve"
    assert call(client, "ModelReady", name="demo").ready
    assert call(client, "ModelReady", name="demo", version="2.0").ready
    assert not call(client, "ModelReady", name="nobody").ready
    about = call(client, "ModelMetadata", name="demo")
    assert (about.name, list(about.versions), list(about.inputs[0].shape)) == ("demo", ["1.0"], [-1, 2])
    upstream.ready = False
    assert not call(client, "ModelReady", name="demo").ready
    assert not call(client, "ServerReady").ready


def test_a_call_goes_to_the_version_that_a_request_would_go_to(client, upstream):
    assert infer(client).raw_output_contents[0] == LABEL[2]
    infer(client, model_version="2.0")
    client.set_roles(stable="2.0")
    infer(client)
    assert upstream.paths() == [f"/predictions/demo/{version}" for version in ("1.0", "2.0", "2.0")]
    assert {request.headers["content-type"] for request in upstream.requests} == {"application/grpc"}
    assert upstream.requests[0].body == framed(message_of("ModelInferRequest", model_name="demo", inputs=[ASKED]))


def test_bytes_come_through_as_they_were_sent(client, upstream):
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1]}
    raw = base64.b64encode(bytes(range(256))).decode()
    infer(client, inputs=[tensor], raw_input_contents=[raw])
    sent = kind("ModelInferRequest").FromString(upstream.requests[0].body[5:])
    assert list(sent.raw_input_contents) == [bytes(range(256))]


def test_what_a_handler_says_of_a_callers_fault_arrives_with_status_and_text(client, upstream, tmp_path):
    upstream.answer = lambda *_: (200, b"")
    upstream.headers = {"x-grpc-status": "3", "x-grpc-message": "invalid_row: inputs: 100%25 wrong"}
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "invalid_row: inputs: 100% wrong"):
        infer(client)
    assert len(upstream.requests) == 1
    # Go's client takes no other status for gRPC's.
    assert [line["status"] for line in client.logged(1)] == [200]


def test_a_version_that_reads_no_calls_is_said_in_grpcs_words(client, upstream):
    upstream.answer = lambda *_: (415, b'{"error": {"type": "unsupported_media_type"}}')
    upstream.headers = {}
    with refused(grpc.StatusCode.UNIMPLEMENTED, "this version does not support gRPC"):
        infer(client)
    upstream.answer = lambda *_: (400, b"")
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        infer(client)


def test_what_a_version_could_not_do_is_tried_again_and_then_said_in_words(client, upstream):
    upstream.answer = lambda *_: (503, b"{}")
    with refused(grpc.StatusCode.UNAVAILABLE, "unavailable: server: "):
        infer(client)
    assert len(upstream.requests) == 2
    upstream.answer = lambda *_: (500, b"")
    failed = {"x-grpc-status": "13", "x-grpc-message": "internal_error: body: it failed"}
    upstream.headers = failed | {"x-onnxserve-error": "internal_error"}
    with refused(grpc.StatusCode.INTERNAL, "internal_error: body: it failed"):
        infer(client)


@pytest.mark.parametrize("name", ["nobody", "", "demo/../demo", "a\r\nHost: b", "demo?x", "%64emo", "d" * 3000])
def test_an_unknown_name_is_not_found_whatever_it_holds(client, upstream, name):
    with refused(grpc.StatusCode.NOT_FOUND, "not_found"):
        infer(client, model_name=name)
    with refused(grpc.StatusCode.NOT_FOUND, "not_found"):
        infer(client, model_version=name or "0")
    assert upstream.requests == []


def test_a_long_name_takes_little_room_in_the_log(client):
    with refused(grpc.StatusCode.NOT_FOUND, "not_found"):
        infer(client, model_name="d" * 100_000)
    with refused(grpc.StatusCode.NOT_FOUND, "not_found"):
        infer(client, model_version="d" * 100_000)
    assert all(len(json.dumps(line)) < 2000 for line in client.logged(2))


def test_an_authority_that_names_an_archive_leads_to_none(client, upstream):
    options = [("grpc.default_authority", "aaaaaaaaaaaa.v1.0.m.demo")]
    with refused(grpc.StatusCode.NOT_FOUND, "not_found"):
        infer(client, model_name="nobody", options=options)
    assert upstream.requests == []


def test_unknown_methods_are_refused(client):
    for method in ("RepositoryModelLoad", "ModelStreamInfer", "constructor", "__proto__"):
        with refused(grpc.StatusCode.UNIMPLEMENTED, "unimplemented: gateway: "):
            call(client, "ModelInfer", called=method)


@pytest.mark.parametrize("sent", [WHOLE[:-1], WHOLE[:12], b"\x0a\x85", b"\x0f"])
def test_a_message_that_is_none_is_refused(client, upstream, sent):
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "malformed_request: gateway: "):
        call(client, "ModelInfer", sent=sent)
    assert upstream.requests == []


def test_a_packed_message_is_refused_so_that_none_unpacks_to_gigabytes(client, upstream):
    with refused(grpc.StatusCode.UNIMPLEMENTED, "unimplemented: gateway: "):
        infer(client, id="x" * 100_000, compression=grpc.Compression.Gzip)
    assert upstream.requests == []


def test_a_message_that_is_too_large_is_refused(upstream, tmp_path):
    with calling(upstream, tmp_path, limits=Limits(body_bytes=2**16)) as client:
        raw = base64.b64encode(bytes(2**17)).decode()
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED):
            infer(client, inputs=[{"name": "x", "datatype": "UINT8", "shape": [2**17]}], raw_input_contents=[raw])
    assert upstream.requests == []


def test_who_may_ask_what_holds_for_calls(upstream, tmp_path):
    path = tmp_path / "keys.json"
    allowed, other = add(path, Key("mine", ("demo",))), add(path, Key("other", ("another",)))
    with calling(upstream, tmp_path, auth=Auth(required=True, keys=str(path))) as client:
        assert call(client, "ServerLive").live
        with refused(grpc.StatusCode.UNAUTHENTICATED, "unauthenticated"):
            infer(client)
        with refused(grpc.StatusCode.PERMISSION_DENIED, "forbidden"):
            infer(client, {"x-api-key": other})
        assert upstream.requests == []
        assert infer(client, {"x-api-key": allowed}).model_name == "demo"


def test_what_a_client_may_know_holds_for_calls(upstream, tmp_path):
    with calling(upstream, tmp_path, guard=Guard(digits=2, top=1)) as client:
        upstream.headers |= {"x-onnxserve-limited": "2/1"}
        assert infer(client).raw_output_contents[0] == LABEL[2]
        headers = upstream.requests[0].headers
        assert (headers["x-onnxserve-digits"], headers["x-onnxserve-top"]) == ("2", "1")


def test_what_a_call_was_told_is_judged_like_any_other_answer(client, upstream):
    client.set_roles(canary=Canary("2.0", 50.0))
    upstream.headers |= {"x-onnxserve-said": '[{"label":"x","score":0.123456}]'}
    infer(client)
    path, deadline = client.gateway.run / "observations.log", time.monotonic() + WAIT_S
    while not path.read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    [observed] = json.loads(json.loads(path.read_text())["said"])
    assert (observed["label"], observed["score"]) == ("x", pytest.approx(0.123456))


def test_without_the_setting_no_call_is_taken(upstream, tmp_path):
    off = config()
    off = msgspec.structs.replace(off, listen=msgspec.structs.replace(off.listen, grpc=False))
    with (
        client_of(gateway_of(off, tmp_path, upstream.port), Roles({"demo": STABLE})) as client,
        refused(grpc.StatusCode.UNIMPLEMENTED),
    ):
        infer(client)
