"""What the gateway says of a request: to the server behind it, to the client, and to nobody else."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from onnxserve.gateway import Canary, Roles, Share
from onnxserve.gateway.config import Auth, Cache, Deadline, Guard, Traces
from onnxserve.gateway.keys import Key, add
from tests.helpers.gateway import BODY, STABLE, Client, client_of, config, gateway_of, opened
from tests.helpers.messages import SERVICE, message_of
from tests.helpers.raw import post_bytes, raw_connection

MESSAGE = message_of("ModelInferRequest", model_name="demo").SerializeToString()
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]")


def call(client: Client, metadata: dict[str, str] | None = None, timeout: float | None = None) -> None:
    """A call that the server answers with what isn't gRPC's, so that only what it was sent counts."""
    with grpc.insecure_channel(client.gateway.url.removeprefix("http://")) as channel:
        named = [(name.replace("_", "-"), value) for name, value in (metadata or {}).items()]
        ask = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        with pytest.raises(grpc.RpcError):
            ask(MESSAGE, timeout=timeout, metadata=named)


# Deadlines ----------------------------------------------------------------


@opened(deadline=Deadline(answer_s=12.5))
def test_each_request_says_when_it_came_and_how_long_it_may_take(client, upstream):
    before = time.time()
    for path in ("/predictions/demo", "/v2/models/demo/infer", "/v1/models/demo:predict", "/predictions/demo/2.0"):
        client.post(path, x_onnxserve_deadline="900", x_onnxserve_start="1")
    after = time.time()
    for request in upstream.requests:
        assert request.headers["x-onnxserve-deadline"] == "12.5"
        assert before - 1 < float(request.headers["x-onnxserve-start"]) < after + 1


@opened(deadline=Deadline(answer_s=12.5))
def test_a_calls_own_deadline_counts_if_it_is_shorter(client, upstream):
    call(client)
    call(client, timeout=3)
    call(client, timeout=60)
    seconds = [float(request.headers["x-onnxserve-deadline"]) for request in upstream.requests]
    assert (seconds[0], seconds[-1]) == (12.5, 12.5)
    assert 2 < min(seconds) < 3.1  # as the client rounds it


def test_a_second_try_and_a_fallback_keep_the_time_when_the_request_came(client, upstream):
    client.set_roles(stable="1.0", previous="2.0")
    upstream.answer = lambda *_: (503, b"{}")
    client.post(x_request_id="one")
    assert len(upstream.requests) == 3
    for name in ("x-onnxserve-start", "x-onnxserve-client", "x-onnxserve-deadline", "x-request-id", "traceparent"):
        assert len({request.headers[name] for request in upstream.requests}) == 1, name


# Ids ----------------------------------------------------------------------


def test_every_answer_has_an_id_also_those_that_the_gateway_gives(client, upstream):
    paths = ("/predictions/demo", "/predictions/nobody", "/nothing", "/v2/models/demo/infer", "/v2/models/nobody/infer")
    for path in paths:
        assert re.fullmatch(r"[0-9a-f]{32}", client.post(path).headers["x-request-id"])
        assert client.post(path, x_request_id="mine/1").headers["x-request-id"] == "mine/1"
    assert len({client.post().headers["x-request-id"] for _ in range(20)}) == 20


@pytest.mark.parametrize("bad", ["", "a b", "a" * 129, "a;b", 'a"b', "a\\b", "\x01", "ä", "a{b}", "a, b"])
def test_an_id_that_could_be_anything_else_is_replaced(client, upstream, bad):
    with raw_connection(client.gateway.config.listen.port) as raw:
        answer = raw.ask(post_bytes(x_request_id=bad))
    assert answer is not None
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
    assert upstream.requests[0].headers["x-request-id"] == answer.headers["x-request-id"]


# Traces -------------------------------------------------------------------


def test_a_trace_is_begun_where_there_is_none_and_goes_on_where_there_is_one(client, upstream):
    client.post()
    client.post()
    client.post(traceparent=PARENT)
    first, second, third = [request.headers["traceparent"] for request in upstream.requests]
    assert TRACE.fullmatch(first)
    assert first.split("-")[1] != second.split("-")[1]
    assert third == PARENT
    assert [line["traceparent"] for line in client.logged(3)] == [first, second, third]


@pytest.mark.parametrize(
    "bad", ["", "nonsense", PARENT.upper(), PARENT[:-3], "01" + PARENT[2:], PARENT + "-x", "00-x-y-01"]
)
def test_a_trace_that_is_none_is_replaced(client, upstream, bad):
    client.post(traceparent=bad)
    [seen] = upstream.requests
    assert TRACE.fullmatch(seen.headers["traceparent"])
    assert seen.headers["traceparent"] != bad


@opened(traces=Traces(endpoint="http://127.0.0.1:9/", percent=100))
def test_with_a_collector_the_servers_span_is_a_child_of_the_gateways(client, upstream):
    client.post(traceparent=PARENT)
    version, trace, span, flags = upstream.requests[0].headers["traceparent"].split("-")
    assert (version, trace, flags) == ("00", PARENT.split("-")[1], "01")
    assert span != PARENT.split("-")[2]
    client.post()
    assert upstream.requests[1].headers["traceparent"].endswith("-01")
    client.post(traceparent=PARENT[:-1] + "0")
    assert upstream.requests[2].headers["traceparent"].endswith("-00"), "who decided not to trace is not overruled"


# Identity -----------------------------------------------------------------


def test_what_only_the_gateway_may_say_comes_from_no_client_on_any_way(client, upstream):
    claims = {
        "x_onnxserve_client": "root", "x_onnxserve_priority": "urgent", "x_onnxserve_start": "1",
        "x_onnxserve_deadline": "900", "x_onnxserve_protocol": "v9", "x_onnxserve_pair": "p",
        "x_onnxserve_anything": "x", "describe": "True", "X_Onnxserve_Client": "root", "x_api_key": "",
    }  # fmt: skip
    client.set_roles(canary=Canary("2.0", 50), shadow=Share("2.0", 100))
    for path in ("/predictions/demo", "/v2/models/demo/infer", "/predictions/demo/1.0"):
        client.post(path, **claims)
    call(client, {name.lower(): value for name, value in claims.items()})
    assert len(upstream.requests) >= 4
    for request in upstream.requests:
        assert request.headers["x-onnxserve-client"] == "127.0.0.1"
        assert request.headers.get("x-onnxserve-priority") in {None, "batch"}  # a copy is the batch's
        assert float(request.headers["x-onnxserve-deadline"]) <= 30
        assert not {"x-onnxserve-anything", "describe", "x-api-key", "authorization", "te"} & set(request.headers)
        assert request.headers.get("x-onnxserve-protocol") in {None, "v2"}


def test_what_the_server_says_for_the_gateway_alone_reaches_no_client(client, upstream):
    upstream.headers = {"x-onnxserve-error": "k", "x-grpc-status": "0", "x-grpc-message": "m", "Pragma": "no-cache"}
    upstream.answer = lambda *_: (422, b'{"error": {"type": "k"}}')
    answer = client.post()
    assert answer.status_code == 422
    assert not {"x-onnxserve-error", "x-grpc-status", "x-grpc-message", "pragma"} & set(answer.headers)
    assert "x-powered-by" not in answer.headers
    assert answer.headers["server"] == "nginx"


# The cache ----------------------------------------------------------------


def kept(client: Client, headers: dict[str, str] | None = None, body: bytes = BODY) -> str:
    state: str = client.post(body=body, **(headers or {})).headers["x-onnxserve-cache"]
    return state


@opened(cache=Cache(seconds=60))
def test_clients_share_what_is_kept_unless_the_file_says_otherwise(client, upstream, tmp_path):
    assert [kept(client), kept(client)] == ["miss", "hit"]


def test_a_client_gets_no_answer_that_another_one_caused_if_the_file_says_so(upstream, tmp_path):
    keys = tmp_path / "keys.json"
    ann, bob = add(keys, Key("ann")), add(keys, Key("bob"))
    tables = config(cache=Cache(seconds=60, per_client=True), auth=Auth(keys=str(keys)))
    with client_of(gateway_of(tables, tmp_path, upstream.port), Roles({"demo": STABLE})) as client:
        seen = [kept(client, {"x_api_key": secret}) for secret in (ann, ann, bob, bob, ann)]
        assert seen == ["miss", "hit", "miss", "hit", "hit"]
        assert [kept(client), kept(client)] == ["miss", "hit"]  # by the address


@opened(cache=Cache(seconds=60))
def test_what_an_answer_depends_on_is_part_of_what_it_is_kept_by(client, upstream):
    assert kept(client) == "miss"
    others = [{"accept": "application/x-npy"}, {"content_encoding": "gzip"}, {"inference_header_content_length": "3"}]
    assert [kept(client, headers) for headers in others] == ["miss"] * 3
    assert client.post("/v2/models/demo/infer").headers["x-onnxserve-cache"] == "miss"
    long = b"[" + b"1," * 6000 + b"1]"
    assert [kept(client, body=body) for body in (long, long, long[:-2] + b"2]")] == ["miss", "hit", "miss"]


@opened(cache=Cache(seconds=60))
def test_no_client_can_make_another_bodys_answer_its_own(client, upstream):
    """What is joined to one key must not be divided elsewhere: a body that holds what stands between the parts."""
    upstream.answer = lambda _, body: (200, b'{"echo": "' + body[-3:] + b'"}')
    assert client.post(body=b"|||||[1]", content_type="text/plain").json() == {"echo": "[1]"}
    for accept in ("|", "||||", "|||||", "||||||"):
        for body in (b"[1]", b"|[1]", b"||||[1]"):
            with raw_connection(client.gateway.config.listen.port) as raw:
                answer = raw.ask(post_bytes(body=body, Content_Type="text/plain", Accept=accept))
            assert answer is not None
            assert answer.headers["x-onnxserve-cache"] == "miss", (accept, body)


@opened(cache=Cache(seconds=60))
def test_the_same_body_in_chunks_or_with_a_length_is_answered_alike(client, upstream):
    with raw_connection(client.gateway.config.listen.port) as raw:
        head = post_bytes(body=b"", Transfer_Encoding="chunked").replace(b"Content-Length: 0\r\n", b"")
        chunked = raw.ask(head + b"6\r\n[1, 2]\r\n0\r\n\r\n")
    assert chunked is not None
    assert chunked.status == 200
    with ThreadPoolExecutor(4) as pool:
        assert {answer.status_code for answer in pool.map(lambda _: client.post(), range(8))} == {200}
    assert {request.body for request in upstream.requests} == {b"[1, 2]"}


@opened(guard=Guard(per_day=1000))
def test_headers_of_bytes_that_are_no_text_harm_nothing(client):
    client.set_roles(canary=Canary("2.0", 50, "x-user"))
    headers = {b"x-user": b"\xff\xfe", b"content-type": b"\xff"}
    answers = [client.http.post("/predictions/demo", content=b"[1]", headers=headers) for _ in range(8)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["version"] for answer in answers}) == 1
