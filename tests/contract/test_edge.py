"""Real Envoy and real nginx before a model server whose behaviour is known."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace as with_fields

import httpx
import msgspec
import pytest

from onnxserve.config import free_ports
from onnxserve.edge import Canary, Edge, Intent, Labels, Model, Share
from onnxserve.edge.change import change
from onnxserve.edge.intent import Cache, Deadline, Limits, Listen, Retry
from onnxserve.edge.processes import Door, check, start
from onnxserve.errors import EdgeError
from tests.upstream import Upstream, listening, versioned

DIGESTS = {"1.0": "a" * 64, "2.0": "b" * 64}
STABLE = Model(DIGESTS, "1.0")
BODY = b"[1, 2]"


class Client:
    """Requests to one edge, whose labels may move."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.http = httpx.Client(base_url=door.edge.url, trust_env=False, timeout=20)

    def post(self, path: str = "/predictions/demo", body: bytes = BODY, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(path, content=body, headers={"content-type": "application/json", **named})

    def label(self, **parts: object) -> None:
        change(self.door.edge, Labels({"demo": msgspec.structs.replace(STABLE, **parts)}))


def intent(**tables: object) -> Intent:
    port, metrics = free_ports(2)
    return msgspec.structs.replace(Intent(listen=Listen(port=port, metrics_port=metrics)), **tables)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with listening(Upstream()) as one:
        yield one


@pytest.fixture
def client(request, upstream, tmp_path) -> Iterator[Client]:
    tables = getattr(request, "param", {})
    edge = Edge(intent(**tables), tmp_path / "edge", upstream.port, upstream.port)
    door = start(edge, Labels({"demo": STABLE}))
    made = Client(door)
    try:
        yield made
    finally:
        made.http.close()
        door.stop()


def opened(**tables: object) -> pytest.MarkDecorator:
    """The test's own traffic.toml."""
    return pytest.mark.parametrize("client", [tables], indirect=True)


def test_envoy_and_nginx_accept_what_is_rendered(tmp_path):
    full = msgspec.structs.replace(STABLE, previous="2.0", canary=Canary("2.0", 5, "x-user"), shadow=Share("2.0", 9))
    tables = intent(cache=Cache(seconds=5), limits=Limits(requests_per_second=9))
    check(Edge(tables, tmp_path, 8080, 8081), Labels({"demo": full}))


def test_what_envoy_refuses_is_said_in_its_words(tmp_path):
    labels = Labels({"demo": msgspec.structs.replace(STABLE, shadow=Share("1.0", 5), versions={"1.0": "a"})})
    bad = with_fields(Edge(intent(), tmp_path, 8080, 8081), intent=intent(listen=Listen(host="no address")))
    with pytest.raises(EdgeError, match=r"refused: .*no address"):
        check(bad, labels)


def test_each_protocol_reaches_the_stable_version_and_a_named_one_its_own(client, upstream):
    for path in ("/predictions/demo", "/v2/models/demo/infer", "/v1/models/demo:predict"):
        answer = client.post(path)
        assert (answer.status_code, answer.json()["version"]) == (200, "1.0")
        assert answer.headers["x-onnxserve-version"] == "1.0"
    for path in ("/predictions/demo/2.0", "/v2/models/demo/versions/2.0/infer"):
        assert client.post(path).json()["version"] == "2.0"
    assert Counter(upstream.paths()) == {"/predictions/demo/1.0": 3, "/predictions/demo/2.0": 2}


def test_management_and_unknown_paths_are_404_and_a_wrong_method_405(client, upstream):
    for path in ("/models", "/models/demo", "/ping", "/predictions/nobody", "/predictions/demo/9.0", "/state/demo"):
        answer = client.http.get(path)
        assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")
    for path in ("/predictions/demo/../../models", "/predictions/%2e%2e/models", "/predictions%2Fdemo"):
        assert client.http.post(path, content=BODY).status_code in {400, 404}
    answer = client.http.get("/predictions/demo")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert upstream.seen == []


def test_readiness_tells_the_truth_and_metadata_the_signature(client, upstream):
    for path in ("/v2/models/demo/ready", "/v2/models/demo/versions/2.0/ready", "/v2/health/ready"):
        answer = client.http.get(path)
        assert (answer.status_code, answer.json()["ready"]) == (200, True)
    upstream.ready = False
    for path in ("/v2/models/demo/ready", "/v2/health/ready"):
        answer = client.http.get(path)
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert client.http.get("/v2/health/live").json() == {"live": True}
    assert client.http.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.http.get("/v2/models/demo").json() == {
        "name": "demo",
        "versions": ["1.0"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "output_0", "datatype": "FP32", "shape": [-1, 2]}],
    }


def test_a_canary_gets_its_share_within_two_seconds_and_ends_as_fast(client):
    began = time.monotonic()
    client.label(canary=Canary("2.0", 30))
    assert time.monotonic() - began < 2
    seen = Counter(client.post().json()["version"] for _ in range(300))
    assert 50 < seen["2.0"] < 130  # 90 are expected, the standard deviation is 8
    client.label()
    assert {client.post().json()["version"] for _ in range(20)} == {"1.0"}


def test_an_ab_split_keeps_each_client_on_its_side(client):
    client.label(canary=Canary("2.0", 50, "x-user"))
    sides = {user: {client.post(x_user=user).json()["version"] for _ in range(4)} for user in map(str, range(40))}
    assert all(len(side) == 1 for side in sides.values())
    assert {side.pop() for side in sides.values()} == {"1.0", "2.0"}


def test_labels_move_under_load_without_a_failure(client):
    stop = time.monotonic() + 3
    seen: Counter[tuple[int, str]] = Counter()

    def load(_: int) -> None:
        with httpx.Client(base_url=client.door.edge.url, trust_env=False) as http:
            while time.monotonic() < stop:
                answer = http.post("/predictions/demo", content=BODY)
                seen[answer.status_code, answer.headers.get("x-onnxserve-version", "")] += 1

    with ThreadPoolExecutor(4) as pool:
        list_of = [pool.submit(load, number) for number in range(4)]
        while time.monotonic() < stop - 0.5:
            for parts in ({"canary": Canary("2.0", 50)}, {"stable": "2.0", "previous": "1.0"}, {}):
                client.label(**parts)
        for one in list_of:
            one.result()
    assert {status for status, _ in seen} == {200}
    assert {version for _, version in seen} == {"1.0", "2.0"}


def test_a_shadow_gets_copies_and_its_failures_and_delays_reach_nobody(client, upstream):
    upstream.answer = lambda path, _: (500, b"{}") if path.endswith("2.0") else versioned(path)
    client.label(shadow=Share("2.0", 100))
    answers = [client.post(body=f"[{number}]".encode()) for number in range(10)]
    assert {one.json()["version"] for one in answers} == {"1.0"}
    deadline = time.monotonic() + 5
    while Counter(upstream.paths())["/predictions/demo/2.0"] < 10 and time.monotonic() < deadline:
        time.sleep(0.05)
    copies = [one for one in upstream.seen if one.path.endswith("2.0")]
    assert sorted(one.body for one in copies) == sorted(f"[{number}]".encode() for number in range(10))
    ids = {one.headers["x-request-id"] for one in upstream.seen if one.path.endswith("1.0")}
    assert {one.headers["x-request-id"] for one in copies} == ids


def test_a_failing_canary_is_answered_by_stable_and_marked(client, upstream):
    upstream.answer = lambda path, _: (503, b'{"code": 503}') if path.endswith("2.0") else versioned(path)
    client.label(canary=Canary("2.0", 100))
    answer = client.post()
    assert (answer.status_code, answer.json()["version"]) == (200, "1.0")
    assert answer.headers["x-onnxserve-degraded"] == "fallback"
    assert upstream.paths() == ["/predictions/demo/2.0", "/predictions/demo/2.0", "/predictions/demo/1.0"]


@opened(retry=Retry(tries=1, budget_percent=20))
def test_tries_are_bounded_so_that_they_can_not_storm(client, upstream):
    upstream.answer = lambda _, __: (503, b'{"code": 503}')
    upstream.delay_s = 0.05
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: client.post(), range(200)))
    assert {one.status_code for one in answers} == {503}
    assert {one.json()["error"]["type"] for one in answers} == {"unavailable"}
    assert all(one.headers["retry-after"] for one in answers)
    assert len(upstream.seen) < 200 * 1.6  # one try for each would be 400


def test_the_servers_own_errors_get_the_handlers_form(client, upstream):
    own = {"code": 404, "type": "ModelVersionNotFoundException", "message": "Model version: 9 not found"}
    ours = {"error": {"type": "invalid_row", "reason": "r", "where": "w"}, "model": "demo", "version": "1.0"}
    for status, document, kind in ((404, own, "not_found"), (507, own, "worker_ended"), (422, ours, "invalid_row")):
        upstream.answer = lambda _, __, status=status, document=document: (status, json.dumps(document).encode())
        answer = client.post()
        assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)
    assert answer.json() == ours


def test_a_server_that_is_gone_is_503_with_a_time_to_come_again(client):
    edge = client.door.edge
    client.door.stop()
    [nobody] = free_ports(1)
    door = start(with_fields(edge, inference_port=nobody, management_port=nobody), Labels({"demo": STABLE}))
    try:
        answer = client.post()
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"
        assert client.http.get("/v2/health/ready").status_code == 503
    finally:
        door.stop()


@opened(limits=Limits(concurrency=2))
def test_more_than_may_be_under_way_answer_429_at_once(client, upstream):
    upstream.delay_s = 0.5
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post(), range(8)))
    codes = Counter(one.status_code for one in answers)
    assert set(codes) == {200, 429}
    refused = next(one for one in answers if one.status_code == 429)
    assert (refused.json()["error"]["type"], refused.headers["retry-after"]) == ("overloaded", "1")


@opened(limits=Limits(requests_per_second=5))
def test_the_rate_of_all_clients_is_limited(client):
    answers = [client.post() for _ in range(12)]
    refused = [one for one in answers if one.status_code == 429]
    assert 5 <= len(refused) < 12
    assert refused[0].json()["error"]["type"] == "rate_limited"


@opened(deadline=Deadline(answer_s=0.3))
def test_no_answer_within_the_deadline_is_504(client, upstream):
    upstream.delay_s = 2
    began = time.monotonic()
    answer = client.post()
    assert (answer.status_code, answer.json()["error"]["type"]) == (504, "deadline_exceeded")
    assert time.monotonic() - began < 1.5


@opened(limits=Limits(body_bytes=1000, header_kib=4))
def test_bodies_and_headers_beyond_the_limits_are_refused_with_their_status(client, upstream):
    answer = client.post(body=b"x" * 2000)
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "too_large")
    assert client.post(x_long="x" * 5000).status_code == 431
    assert upstream.seen == []
    assert client.post(body=b"x" * 900).status_code == 200


def test_headers_that_only_the_edge_may_set_are_taken_away(client, upstream):
    client.post(describe="True", x_onnxserve_wanted="9.9", x_onnxserve_client="root")
    [seen] = upstream.seen
    assert not [name for name in seen.headers if name.startswith("x-onnxserve-") or name == "describe"]


def test_the_callers_request_id_is_answered_logged_and_passed_on(client, upstream):
    assert client.post(x_request_id="mine").headers["x-request-id"] == "mine"
    given = client.post().headers["x-request-id"]
    assert upstream.seen[0].headers["x-request-id"] == "mine"
    assert upstream.seen[1].headers["x-request-id"] == given
    path, deadline = client.door.edge.run / "access.log", time.monotonic() + 15
    while len(path.read_text().splitlines()) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["request_id"] for one in lines] == ["mine", given]
    assert (lines[0]["status"], lines[0]["version"], lines[0]["path"]) == (200, "1.0", "/predictions/demo")


@opened(cache=Cache(seconds=30))
def test_the_same_body_is_answered_from_the_cache_by_version_and_never_an_error(client, upstream):
    assert [client.post().headers["x-onnxserve-cache"] for _ in range(3)] == ["miss", "hit", "hit"]
    assert client.post("/v2/models/demo/versions/2.0/infer").headers["x-onnxserve-cache"] == "miss"
    assert client.post(body=b"[3]").headers["x-onnxserve-cache"] == "miss"
    assert client.post(cache_control="no-cache").headers["x-onnxserve-cache"] == "bypass"
    upstream.answer = lambda _, __: (422, b'{"error": {"type": "invalid_row"}}')
    assert [client.post(body=b"bad").headers["x-onnxserve-cache"] for _ in range(2)] == ["miss", "miss"]
    counts = httpx.get(f"http://127.0.0.1:{client.door.edge.intent.listen.metrics_port}/cache", trust_env=False).text
    assert 'onnxserve_cache_answers_total{model="demo",cache="hit"} 2' in counts


@opened(cache=Cache(seconds=30))
def test_the_same_body_at_the_same_time_is_computed_once(client, upstream):
    upstream.delay_s = 0.5
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post(body=b"[7]"), range(8)))
    assert {one.status_code for one in answers} == {200}
    assert len(upstream.seen) == 1


@opened(cache=Cache(seconds=30))
def test_another_archive_of_the_same_version_is_not_answered_from_the_cache(client):
    client.post()
    client.label(versions={**DIGESTS, "1.0": "d" * 64})
    assert client.post().headers["x-onnxserve-cache"] == "miss"


@opened(cache=Cache(seconds=1))
def test_when_the_server_fails_an_old_answer_is_better_than_none_and_marked(client, upstream):
    assert client.post().headers["x-onnxserve-cache"] == "miss"
    upstream.answer = lambda _, __: (503, b"{}")
    time.sleep(2.2)  # nginx counts whole seconds
    answer = client.post()
    assert (answer.status_code, answer.headers["x-onnxserve-degraded"]) == (200, "cache")


def test_envoys_counters_are_there_for_prometheus_and_its_administration_is_not(client):
    client.post()
    base = f"http://127.0.0.1:{client.door.edge.intent.listen.metrics_port}"
    text = httpx.get(f"{base}/metrics", trust_env=False).text
    assert 'envoy_cluster_upstream_rq_total{envoy_cluster_name="demo/1-0"}' in text
    for path in ("/quitquitquit", "/config_dump", "/stats"):
        assert httpx.post(f"{base}{path}", trust_env=False).status_code == 404


SMUGGLED = [
    b"POST /predictions/demo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /predictions/demo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nContent-Length: 7\r\n\r\n[1, 2]x",
    b"POST /predictions/demo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"POST /predictions/demo HTTP/1.1\r\nHost: a\r\nContent-Length: +6\r\n\r\n[1, 2]",
    b"POST /predictions/demo HTTP/1.1\r\nHost: a\r\nContent_Length: 6\r\nContent-Length: 0\r\n\r\n",
]


@pytest.mark.parametrize("request_", SMUGGLED)
def test_requests_whose_end_is_in_doubt_are_refused(client, upstream, request_):
    with socket.create_connection(("127.0.0.1", client.door.edge.intent.listen.port), timeout=5) as one:
        one.sendall(request_)
        assert one.recv(4096).split(b" ")[1] in {b"400", b"501"}
    assert upstream.seen == []


@opened(deadline=Deadline(request_s=1))
def test_a_client_that_sends_slowly_is_dropped_and_others_do_not_notice(client, upstream):
    port = client.door.edge.intent.listen.port
    slow = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(20)]
    for one in slow:
        one.sendall(b"POST /predictions/demo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n[")
    assert client.post().status_code == 200
    began = time.monotonic()
    for one in slow:
        assert b"408" in one.recv(4096)
        one.close()
    assert time.monotonic() - began < 5
    assert len(upstream.seen) == 1
