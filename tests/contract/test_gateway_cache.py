"""Answers that are kept, and what is counted."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from onnxserve.gateway.config import Cache, Predictions
from tests.helpers import plain_http
from tests.helpers.gateway import DIGESTS, opened
from tests.helpers.messages import SERVICE, framed, message_of
from tests.helpers.observed import observing
from tests.helpers.waiting import wait_for

KEPT = Cache(seconds=30)


@opened(cache=Cache(seconds=30))
def test_the_same_body_is_answered_from_the_cache_by_version_and_never_an_error(client, upstream):
    with observing(client.gateway) as watched:
        assert [client.post().headers["x-onnxserve-cache"] for _ in range(3)] == ["miss", "hit", "hit"]
        assert client.post("/v2/models/demo/versions/2.0/infer").headers["x-onnxserve-cache"] == "miss"
        assert client.post(body=b"[3]").headers["x-onnxserve-cache"] == "miss"
        assert client.post(cache_control="no-cache").headers["x-onnxserve-cache"] == "bypass"
        upstream.answer = lambda _, __: (422, b'{"error": {"type": "invalid_row"}}')
        assert [client.post(body=b"bad").headers["x-onnxserve-cache"] for _ in range(2)] == ["miss", "miss"]
        name = "onnxserve_cache_answers_total"
        samples = watched.samples(lambda now: now.get((name, "demo", "miss")) == 5)
        states = {values[2]: count for values, count in samples.items() if values[:2] == (name, "demo")}
        assert states == {"miss": 5, "hit": 2, "bypass": 1}
        assert samples["onnxserve_gateway_requests_total", "demo", "1.0", "422"] == 2


@opened(cache=Cache(seconds=30))
def test_an_answer_that_makes_do_without_a_feature_store_is_marked_and_not_kept(client, upstream):
    upstream.headers["x-onnxserve-degraded"] = "features"
    answers = [client.post(body=b"[5]") for _ in range(2)]
    assert [answer.headers["x-onnxserve-degraded"] for answer in answers] == ["features", "features"]
    assert [answer.headers["x-onnxserve-cache"] for answer in answers] == ["miss", "miss"]


@opened(cache=Cache(seconds=30))
def test_the_same_body_at_the_same_time_is_computed_once(client, upstream):
    upstream.delay_s = 0.5
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post(body=b"[7]"), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(upstream.requests) == 1


@opened(cache=Cache(seconds=30))
def test_another_archive_of_the_same_version_is_not_answered_from_the_cache(client):
    client.post()
    client.set_roles(versions={**DIGESTS, "1.0": "d" * 64})
    assert client.post().headers["x-onnxserve-cache"] == "miss"


@opened(cache=Cache(seconds=1))
def test_when_the_server_fails_an_old_answer_is_better_than_none_and_marked(client, upstream):
    assert client.post().headers["x-onnxserve-cache"] == "miss"
    upstream.answer = lambda _, __: (503, b"{}")
    wait_for(lambda: "x-onnxserve-degraded" in client.post().headers)
    answer = client.post()
    assert (answer.status_code, answer.headers["x-onnxserve-degraded"]) == (200, "cache")


@pytest.mark.parametrize(
    "client",
    [{"cache": KEPT, "predictions": kept} for kept in (Predictions(redact=("y",)), Predictions(inputs=False))],
    indirect=True,
)
def test_a_cache_has_no_body_in_its_files_where_not_all_of_it_may_be_kept(client):
    secret = b'["a clients secret"]'
    assert [client.post(body=secret).headers["x-onnxserve-cache"] for _ in range(2)] == ["miss", "hit"]
    assert client.post(body=b'["another"]').headers["x-onnxserve-cache"] == "miss"
    files = [path for path in (client.gateway.run / "cache").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if b"secret" in path.read_bytes()]


@opened(cache=KEPT)
def test_a_call_that_failed_is_not_kept_though_its_http_status_is_200(client, upstream):
    upstream.answer = lambda _, __: (200, framed(b""))
    with grpc.insecure_channel(client.gateway.url.removeprefix("http://")) as channel:
        infer = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        for count, (status, body) in enumerate((("3", b"one"), ("14", b"two"), ("0", b"three")), 1):
            upstream.headers = {"x-grpc-status": status, "x-grpc-message": "a reason"}
            message = message_of("ModelInferRequest", model_name="demo", id=body.decode()).SerializeToString()
            for _ in range(2):
                with contextlib.suppress(grpc.RpcError):
                    infer(message, timeout=20)
            assert len(upstream.requests) == (2 * count if status != "0" else 5)


def test_counters_are_there_for_prometheus_and_no_administration_is(client):
    with observing(client.gateway) as watched:
        client.post()
        counted = ("onnxserve_gateway_requests_total", "demo", "1.0", "200")
        assert watched.samples(lambda now: counted in now)[counted] == 1
        for path in ("/roles", "/quitquitquit", "/config_dump", "/stats"):
            assert plain_http.post(f"{watched.metrics}{path}").status_code == 404
