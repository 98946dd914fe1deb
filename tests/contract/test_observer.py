"""A real nginx that is watched by its logs: what is counted, judged and sent as spans, and what that survives."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509

from onnxserve.errors import GatewayError
from onnxserve.gateway import Canary, Roles
from onnxserve.gateway.config import Auth, Guard, Limits, Tls, Traces
from onnxserve.gateway.gateway import METRICS_PAGE
from onnxserve.monitoring import start_exporter
from onnxserve.monitoring.observer import Observer
from onnxserve.release.observations import NAME, Observation, ObservationLog
from onnxserve.supervisor.log_rotation import rotate
from onnxserve.torchserve import free_ports
from tests.helpers import plain_http
from tests.helpers.certificates import Authority
from tests.helpers.disk import filled, small_disk
from tests.helpers.gateway import STABLE, Client, client_of, config, gateway_of, opened
from tests.helpers.observed import WAIT_S, Samples, observing
from tests.helpers.upstream import versioned
from tests.helpers.waiting import wait_for

REQUESTS = "onnxserve_gateway_requests_total"
REFUSALS = "onnxserve_gateway_refusals_total"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def total(counts: Samples, name: str) -> float:
    return sum(count for values, count in counts.items() if values[0] == name)


def test_names_and_types_are_as_prometheus_wants_them(client):
    promtool = shutil.which("promtool")
    assert promtool, "apt-get install prometheus"
    with observing(client.gateway) as watched:
        client.post()
        watched.samples(lambda now: total(now, REQUESTS) == 1)
        page = watched.page()
    completed = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True, check=False)
    assert (completed.returncode, completed.stdout + completed.stderr) == (0, "")


def test_no_label_is_what_a_client_made_up(client):
    with observing(client.gateway) as watched:
        for number in range(20):
            assert client.post(f"/predictions/made-up-{number}").status_code == 404
            assert client.post(f"/predictions/demo/9.{number}").status_code == 404
        counts = watched.samples(lambda now: total(now, REQUESTS) == 40)
        assert {values: count for values, count in counts.items() if values[0] == REQUESTS} == {
            (REQUESTS, "", "", "404"): 40
        }
        assert counts[REFUSALS, "", "not_found"] == 40
        assert "made-up" not in watched.page()


def raw(client: Client, content: bytes) -> bytes:
    """What comes back for bytes that no HTTP library would send."""
    listen = client.gateway.config.listen
    with socket.create_connection((listen.near, listen.port), 10) as connection:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(65536)


def test_requests_of_every_odd_shape_are_counted(client):
    odd = [
        b"POST /predictions/\xff\xfe HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        b'POST /predictions/"\\ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n',
        b"GET /v2/health/live HTTP/1.0\r\nTraceparent: \xff\x01\r\nX-Request-Id: \x7f\xff\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"POST /predictions/demo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf",
    ]
    with observing(client.gateway) as watched:
        for content in odd:
            raw(client, content)
        counts = watched.samples(lambda now: total(now, REQUESTS) == len(odd))
        assert total(counts, REQUESTS) == len(odd)
        assert counts["onnxserve_gateway_uncounted_lines_total", "damaged"] == 0


@opened(limits=Limits(concurrency=2))
def test_refusals_since_too_many_are_under_way_are_known_by_model(client, upstream):
    upstream.delay_s = 0.5
    with observing(client.gateway) as watched:
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(lambda number: client.post(body=b"[%d]" % number).status_code, range(8)))
        refused = statuses.count(429)
        assert refused > 0
        watched.samples(lambda now: total(now, REQUESTS) == 8)
        assert (watched.observer.refusals("demo"), watched.observer.refusals("other")) == (refused, 0)


def test_a_log_that_is_renamed_under_load_loses_no_count(client):
    path = client.gateway.run / "access.log"
    with observing(client.gateway) as watched:
        for count in range(1, 401):
            assert client.post().status_code == 200
            if count % 100 == 50:  # more often than anybody looks
                rotate(path, 4, move=True)
                client.running.reopen_logs()
        counts = watched.samples(lambda now: total(now, REQUESTS) == count)
        assert counts[REQUESTS, "demo", "1.0", "200"] == count


def test_a_full_disk_costs_counts_and_neither_requests_nor_what_comes_later(upstream, tmp_path):
    with small_disk(tmp_path / "disk", "8m") as disk:
        gateway = gateway_of(config(), disk, upstream.port)
        with client_of(gateway, Roles({"demo": STABLE})) as client, observing(gateway) as watched:
            with filled(disk):
                for _ in range(3):
                    assert {client.post().status_code for _ in range(50)} == {200}
                    watched.observer.look()
                    time.sleep(1)  # nginx writes its log once a second
            before = total(watched.samples(lambda _: True), REQUESTS)
            deadline = time.monotonic() + WAIT_S
            while total(counts := watched.samples(lambda _: True), REQUESTS) <= before and time.monotonic() < deadline:
                assert client.post().status_code == 200
            assert total(counts, REQUESTS) > before


def test_answers_of_the_version_to_fall_back_to_and_ejections_are_counted(client, upstream):
    upstream.answer = lambda path, _: (503, b"{}") if path.endswith("1.0") else versioned(path)
    client.set_roles(previous="2.0")
    with observing(client.gateway) as watched:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: client.post(), range(100)))
        assert {answer.json()["version"] for answer in answers} == {"2.0"}
        name = "onnxserve_gateway_ejections_total"
        counts = watched.samples(lambda now: total(now, REQUESTS) == 100 and (name, "demo", "1.0") in now)
        assert counts["onnxserve_gateway_degraded_total", "demo", "fallback"] == 100
        assert counts[name, "demo", "1.0"] >= 1


def test_the_failures_of_a_canary_are_seen_though_clients_see_none(client, upstream):
    upstream.answer = lambda path, _: (503, b"{}") if path.endswith("2.0") else versioned(path)
    tail = ObservationLog(client.gateway.run / NAME)
    client.set_roles(canary=Canary("2.0", 50))
    answers = [client.post() for _ in range(40)]
    assert {(answer.status_code, answer.json()["version"]) for answer in answers} == {(200, "1.0")}
    seen: list[Observation] = []
    deadline = time.monotonic() + WAIT_S
    while sum(answer.version == "1.0" for answer in seen) < 40 and time.monotonic() < deadline:
        seen += tail.read()
        time.sleep(0.1)
    hidden = [failure for failure in seen if failure.version == "2.0"]
    assert {failure.status for failure in hidden} == {503}
    assert len(hidden) == len({failure.request_id for failure in hidden})
    assert 5 < len(hidden) < 35  # 20 are expected, the standard deviation is 3


@opened(guard=Guard(probing=True))
def test_a_client_that_probes_is_counted_by_name(client):
    with observing(client.gateway) as watched:
        for number in range(100):
            assert client.post(body=b"[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.%03d]" % number).status_code == 200
        alerts = ("onnxserve_probing_alerts_total", "127.0.0.1")
        assert watched.samples(lambda now: now.get(alerts, 0) > 1)[alerts] > 1


def test_a_collector_that_is_gone_costs_spans_only(upstream, tmp_path):
    [nobody] = free_ports(1)
    traces = Traces(endpoint=f"http://127.0.0.1:{nobody}", percent=100)
    gateway = gateway_of(config(traces=traces), tmp_path, upstream.port)
    with client_of(gateway, Roles({"demo": STABLE})) as client, observing(gateway) as watched:
        assert {client.post(traceparent=TRACE).status_code for _ in range(20)} == {200}
        lost = ("onnxserve_gateway_spans_total", "lost")
        counts = watched.samples(lambda now: now[lost] == 20)
        assert (counts[lost], counts[REQUESTS, "demo", "1.0", "200"]) == (20, 20)
        began = time.monotonic()
    assert time.monotonic() - began < 10


def test_without_the_packages_spans_are_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    gateway = gateway_of(config(traces=Traces(endpoint="http://127.0.0.1:4318")), tmp_path, 8080)
    with pytest.raises(GatewayError, match=r"traces need a package .*opentelemetry"):
        Observer(gateway)


def test_the_page_says_when_certificates_expire_and_that_the_gateway_is_up(upstream, tmp_path):
    authority = Authority(tmp_path / "certificates")
    certificate, key = authority.sign("server")
    tls = Tls(str(certificate), str(key), str(authority.file))
    gateway = gateway_of(config(tls=tls), tmp_path, upstream.port)
    with client_of(gateway, Roles({"demo": STABLE})), observing(gateway) as watched:
        counts = watched.samples(lambda now: now["onnxserve_gateway_up",] == 1)
    name = "onnxserve_gateway_certificate_expiry_timestamp_seconds"
    for of, path in (("server", certificate), ("client_ca", authority.file)):
        known = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
        assert counts[name, of] == known.timestamp()
    observer = Observer(gateway)
    assert "onnxserve_gateway_up 0" in observer.page().decode()


def test_a_part_of_the_page_that_cannot_be_made_is_left_out(client):
    def broken() -> bytes:
        raise ValueError("a damaged file")

    exporter = start_exporter(client.gateway.run / METRICS_PAGE, broken, lambda: b"other 1\n")
    try:
        metrics = client.gateway.config.listen.metrics_port
        assert plain_http.get(f"http://127.0.0.1:{metrics}/metrics").text == "other 1\n"
    finally:
        exporter.stop()


def test_a_refused_client_without_a_key_is_counted_under_no_model(upstream, tmp_path):
    gateway = gateway_of(config(auth=Auth(required=True, keys=str(tmp_path / "keys.json"))), tmp_path, upstream.port)
    with client_of(gateway, Roles({"demo": STABLE})) as client, observing(gateway) as watched:
        assert client.post().status_code == 401
        counts = watched.samples(lambda now: total(now, REQUESTS) == 1)
        assert counts[REQUESTS, "", "", "401"] == 1
        assert counts[REFUSALS, "", "unauthenticated"] == 1


def test_the_consoles_charts_get_the_steps_that_have_ended(client):
    with observing(client.gateway) as watched:
        for _ in range(3):
            assert client.post().status_code == 200
        address = f"{watched.metrics}/console/data/traffic.json"

        def points(query: str = "") -> list[list[float]]:
            versions = plain_http.get(address + query).raise_for_status().json()["versions"]
            return [point for version in versions if version["version"] == "1.0" for point in version["points"]]

        wait_for(lambda: sum(answers for _, answers, *_ in points()) == 3)
        [*_, (last, _, failed, refused, median, _, slowest)] = points()
        assert (failed, refused) == (0, 0)
        assert 0 <= median <= slowest < 20
        assert points(f"?since={last}") == []
        for query in ("?since=", "?since=-1", "?since=x", f"?since={'9' * 40}", "?other=1"):
            assert points(query) == points()
