"""A real nginx before a model server whose behaviour is known: paths, roles, headers, spans."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from onnxserve.errors import GatewayError
from onnxserve.gateway import Canary, GatewayConfig, Roles, Share
from onnxserve.gateway.config import Cache, Limits, Listen, Traces
from onnxserve.gateway.nginx_process import check
from onnxserve.torchserve import free_ports
from tests.helpers import plain_http
from tests.helpers.gateway import BODY, STABLE, client_of, config, gateway_of
from tests.helpers.observed import observing, samples
from tests.helpers.upstream import Upstream, listening, versioned
from tests.helpers.waiting import wait_for


def test_nginx_accepts_what_is_rendered(tmp_path):
    full = msgspec.structs.replace(STABLE, previous="2.0", canary=Canary("2.0", 5, "x-user"), shadow=Share("2.0", 9))
    tables = config(cache=Cache(seconds=5), limits=Limits(requests_per_second=9))
    check(gateway_of(tables, tmp_path, 8080), Roles({"demo": full}))


def test_what_nginx_refuses_is_said_in_its_words(tmp_path):
    roles = Roles({"demo": msgspec.structs.replace(STABLE, shadow=Share("1.0", 5), versions={"1.0": "a"})})
    bad = gateway_of(config(listen=Listen(host="no.address.invalid")), tmp_path, 8080)
    with pytest.raises(GatewayError, match=r"nginx refuses the configuration: .*no.address.invalid"):
        check(bad, roles)


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
    for path in (
        "/predictions/demo/../../models",
        "/predictions/%2e%2e/models",
        "/predictions/demo%2F..%2F..%2Fmodels",
    ):
        assert client.http.post(path, content=BODY).status_code in {400, 404}
    answer = client.http.get("/predictions/demo")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, PUT")
    assert upstream.requests == []


@pytest.mark.parametrize("path", ["/v2/health/ready", "/v2/models/demo/ready", "/v1/models/demo"])
def test_many_who_ask_for_readiness_at_once_ask_torchserve_together(client, upstream, path):
    upstream.describes_s = 0.1
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: client.http.get(path), range(128)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["ready"] for answer in answers} == {True}
    assert len(upstream.management_paths) <= len(answers) // 4
    upstream.ready = False
    assert client.http.get(path).status_code == 503


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
    def moved_s(**parts: Canary) -> float:
        began = time.monotonic()
        client.set_roles(**parts)
        return time.monotonic() - began

    # Each change once more, since a busy machine may stall in one of them.
    assert min(moved_s(canary=Canary("2.0", percent)) for percent in (10, 20, 30)) < 2
    seen = Counter(client.post().json()["version"] for _ in range(300))
    assert 50 < seen["2.0"] < 130  # 90 are expected, the standard deviation is 8
    assert min(moved_s() for _ in range(3)) < 2
    assert {client.post().json()["version"] for _ in range(20)} == {"1.0"}


def test_an_ab_split_keeps_each_client_on_its_side(client):
    client.set_roles(canary=Canary("2.0", 50, "x-user"))
    sides = {user: {client.post(x_user=user).json()["version"] for _ in range(4)} for user in map(str, range(40))}
    assert all(len(side) == 1 for side in sides.values())
    assert {side.pop() for side in sides.values()} == {"1.0", "2.0"}


def test_labels_move_under_load_without_a_failure(client):
    stop = time.monotonic() + 3
    seen: Counter[tuple[int, str]] = Counter()

    def load(_: int) -> None:
        with plain_http.client(base_url=client.gateway.url) as http:
            while time.monotonic() < stop:
                answer = http.post("/predictions/demo", content=BODY)
                seen[answer.status_code, answer.headers.get("x-onnxserve-version", "")] += 1

    with ThreadPoolExecutor(4) as pool:
        list_of = [pool.submit(load, number) for number in range(4)]
        while time.monotonic() < stop - 0.5:
            for parts in ({"canary": Canary("2.0", 50)}, {"stable": "2.0", "previous": "1.0"}, {}):
                client.set_roles(**parts)
        for future in list_of:
            future.result()
    assert {status for status, _ in seen} == {200}
    assert {version for _, version in seen} == {"1.0", "2.0"}


def test_a_shadow_gets_copies_and_its_failures_and_delays_reach_nobody(client, upstream):
    upstream.answer = lambda path, _: (500, b"{}") if path.endswith("2.0") else versioned(path)
    client.set_roles(shadow=Share("2.0", 100))
    for number in range(10):
        assert client.post(body=f"[{number}]".encode()).json()["version"] == "1.0"
        # The gateway drops copies while too many are under way, which is another test's subject.
        wait_for(lambda: Counter(upstream.paths())["/predictions/demo/2.0"] == number + 1)  # noqa: B023 - called at once
    copies = [request for request in upstream.requests if request.path.endswith("2.0")]
    assert sorted(request.body for request in copies) == sorted(f"[{number}]".encode() for number in range(10))
    ids = {request.headers["x-request-id"] for request in upstream.requests if request.path.endswith("1.0")}
    assert {request.headers["x-request-id"] for request in copies} == ids


def test_headers_that_only_the_gateway_may_set_are_taken_away(client, upstream):
    client.post(describe="True", x_onnxserve_wanted="9.9", x_onnxserve_client="root", x_onnxserve_start="1")
    [seen] = upstream.requests
    ours = [name for name in seen.headers if name.startswith("x-onnxserve-") or name == "describe"]
    assert sorted(ours) == ["x-onnxserve-client", "x-onnxserve-deadline", "x-onnxserve-start"]
    assert (seen.headers["x-onnxserve-client"], seen.headers["x-onnxserve-deadline"]) == ("127.0.0.1", "30")
    assert abs(time.time() - float(seen.headers["x-onnxserve-start"])) < 30


def test_the_callers_request_id_is_answered_logged_and_passed_on(client, upstream):
    assert client.post(x_request_id="mine").headers["x-request-id"] == "mine"
    request_id = client.post().headers["x-request-id"]
    assert upstream.requests[0].headers["x-request-id"] == "mine"
    assert upstream.requests[1].headers["x-request-id"] == request_id
    lines = client.logged(2)
    assert [line["request_id"] for line in lines] == ["mine", request_id]
    assert (lines[0]["status"], lines[0]["version"], lines[0]["path"]) == (200, "1.0", "/predictions/demo")


def test_spans_reach_the_collector_and_their_context_the_server(upstream, tmp_path):
    with listening(Upstream(lambda _, __: (200, b""))) as collector:
        traces = Traces(endpoint=f"http://127.0.0.1:{collector.port}", percent=100)
        gateway = gateway_of(config(traces=traces), tmp_path, upstream.port)
        trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
        with client_of(gateway, Roles({"demo": STABLE})) as client, observing(gateway):
            client.post(traceparent=f"00-{trace}-{parent}-01")
            client.post(traceparent=f"00-{trace}-{parent}-00")
            sent = upstream.requests[0].headers["traceparent"].split("-")
            assert sent[1] == trace
            assert sent[2] != parent  # the gateway's own span is between
            client.logged(2)
        [span] = [span for request in collector.requests for span in spans(request.body)]
        assert {request.path for request in collector.requests} == {"/v1/traces"}
        assert span.name == "POST /predictions/{model}"
        assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == (trace, sent[2], parent)
        assert 0 <= span.end_time_unix_nano - span.start_time_unix_nano < 10e9
        assert abs(time.time() - span.end_time_unix_nano / 1e9) < 60


def spans(body: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    return [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]


def test_a_prometheus_elsewhere_sees_counters_and_neither_console_nor_playground(upstream, tmp_path):
    port, metrics, scrape = free_ports(3)
    listen = Listen(port=port, metrics_port=metrics, scrape_host="127.0.0.1", scrape_port=scrape)
    gateway = gateway_of(GatewayConfig(listen=listen), tmp_path, upstream.port)
    with client_of(gateway, Roles({"demo": STABLE})) as client, observing(gateway) as watched:
        assert client.post().status_code == 200
        counted = ("onnxserve_gateway_requests_total", "demo", "1.0", "200")
        assert watched.samples(lambda samples: counted in samples)[counted] == 1
        host = {"Host": "onnxserve-7c9d.pods.example:9902"}
        answer = plain_http.get(f"http://127.0.0.1:{scrape}/metrics", headers=host)
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert samples(answer.text)[counted] == 1
        for path in (
            "/",
            "/console/",
            "/openapi.json",
            "/ask/predictions/demo",
            "/roles",
            "/workers",
            "/predictions/demo",
        ):
            assert plain_http.get(f"http://127.0.0.1:{scrape}{path}", headers=host).status_code == 404, path
