"""Keys: what they let through, how fast they come and go, and what can't be done with them."""

from __future__ import annotations

import datetime as dt
import json
import socket
import time
from pathlib import Path

import grpc
import pytest

from onnxserve.gateway.config import Auth, Guard
from onnxserve.gateway.files import write_json
from onnxserve.gateway.keys import ID, Key, add, digest, read_keys, revoke, rotate
from tests.helpers.gateway import call
from tests.helpers.raw import post_bytes, raw_connection
from tests.helpers.waiting import PROMISED_S, wait_for


def test_a_keys_priority_and_client_reach_the_server_from_the_first_request_on(open_gateway, upstream, keys):
    night, desk = add(keys, Key("night", priority="batch")), add(keys, Key("front desk", priority="urgent"))
    plain = add(keys, Key("plain"))
    client = open_gateway()
    claimed = {"x_onnxserve_priority": "urgent", "x_onnxserve_client": "root"}
    for secret in (night, desk, plain) * 3:
        assert client.post(x_api_key=secret, **claimed).status_code == 200
    clients = [
        (seen.headers["x-onnxserve-client"], seen.headers.get("x-onnxserve-priority")) for seen in upstream.requests
    ]
    assert clients[3:6] == [("night", "batch"), ("front desk", "urgent"), ("plain", "normal")]
    assert set(clients[:3]) | set(clients) <= {*clients[3:6]}, "learnt or not, a key says the same"
    assert not any(secret in str(seen.headers) for seen in upstream.requests for secret in (night, desk, plain))


def test_a_learnt_key_is_refused_soon_after_it_was_revoked_and_its_neighbours_are_not(open_gateway, keys):
    revoked, stays = add(keys, Key("gone")), add(keys, Key("stays"))
    client = open_gateway()
    for secret in (revoked, stays):
        assert [client.post(x_api_key=secret).status_code for _ in range(3)] == [200] * 3
    revoke(keys, "gone")
    wait_for(lambda: client.post(x_api_key=revoked).status_code == 401, PROMISED_S)
    assert client.post(x_api_key=stays).status_code == 200


def test_a_learnt_keys_models_and_priority_change_with_the_file(open_gateway, upstream, keys):
    secret = add(keys, Key("shop"))
    client = open_gateway()
    for path in ("/predictions/demo", "/predictions/other"):
        assert client.post(path, x_api_key=secret).status_code == 200
    [kept] = read_keys(keys)
    write_json(keys, {kept: Key("shop", ("demo",), priority="batch")})
    wait_for(lambda: client.post("/predictions/other", x_api_key=secret).status_code == 403, PROMISED_S)
    assert client.post(x_api_key=secret).status_code == 200
    assert upstream.requests[-1].headers["x-onnxserve-priority"] == "batch"


def test_a_key_of_one_model_opens_no_other_by_any_path(open_gateway, upstream, keys):
    secret = add(keys, Key("shop", ("demo",)))
    client = open_gateway()
    for path in ("/predictions/demo", "/predictions/demo/2.0", "/v1/models/demo:predict", "/v2/models/demo/infer"):
        assert [client.post(path, x_api_key=secret).status_code for _ in range(2)] == [200, 200]
    for path in ("/predictions/other", "/predictions/other/1.0", "/predictions/%6fther", "//predictions/other",
                 "/predictions/demo/../other", "/v1/models/other:predict", "/v2/models/other/infer"):  # fmt: skip
        with raw_connection(client.gateway.config.listen.port) as raw:
            answer = raw.ask(post_bytes(path, x_api_key=secret))
            assert answer is not None
            assert answer.status == 403, path
    for path in ("/v2/models/other", "/v2/models/other/ready", "/v2/models/other/versions/1.0"):
        assert client.http.get(path, headers={"x-api-key": secret}).status_code == 403
    assert not any("other" in path for path in upstream.paths())


@pytest.mark.parametrize("damage", ["{", "", "null", "[]", "7", '{"aa": 5}', '{"aa": null}', "\0\0", '{"aa": {}}'])
def test_a_damaged_file_opens_nothing_and_locks_nobody_out(open_gateway, keys, damage):
    secret = add(keys, Key("shop"))
    client = open_gateway()
    assert client.post(x_api_key=secret).status_code == 200
    whole = keys.read_bytes()
    keys.write_text(damage)
    until = time.monotonic() + 2.5  # the file is read once a second
    while time.monotonic() < until:
        assert client.post(x_api_key=secret).status_code == 200
        assert client.post(x_api_key="osk_other").status_code == 401
    keys.write_bytes(whole)
    fresh = add(keys, Key("fresh"))
    wait_for(lambda: client.post(x_api_key=fresh).status_code == 200, PROMISED_S)


def test_a_gateway_that_begins_with_a_damaged_file_refuses_everybody_until_it_is_whole(open_gateway, keys):
    secret = add(keys, Key("shop"))
    whole = keys.read_bytes()
    keys.write_text("{")
    client = open_gateway()
    assert client.post(x_api_key=secret).status_code == 401
    keys.write_bytes(whole)
    wait_for(lambda: client.post(x_api_key=secret).status_code == 200, PROMISED_S)


def test_a_file_that_is_removed_revokes_every_key(open_gateway, keys):
    secret = add(keys, Key("shop"))
    client = open_gateway()
    assert client.post(x_api_key=secret).status_code == 200
    keys.unlink()
    wait_for(lambda: client.post(x_api_key=secret).status_code == 401, PROMISED_S)


def test_thousands_of_keys_are_taken_up(open_gateway, keys):
    first = add(keys, Key("first"))
    client = open_gateway()
    many = {f"{number:064x}": Key(f"client {number}", ("demo", "other")) for number in range(20_000)}
    write_json(keys, {**read_keys(keys), **many})
    last = add(keys, Key("last"))
    wait_for(lambda: client.post(x_api_key=last).status_code == 200, PROMISED_S)
    assert client.post(x_api_key=first).status_code == 200
    revoke(keys, "first")
    wait_for(lambda: client.post(x_api_key=first).status_code == 401, PROMISED_S)


def test_a_key_that_is_no_key_is_told_where_keys_are_not_required_either(open_gateway, keys):
    secret = add(keys, Key("shop"))
    client = open_gateway(auth=Auth(required=False))
    assert client.post().status_code == 200
    assert client.post(x_api_key="osk_wrong").status_code == 401
    assert client.post(x_api_key=secret).status_code == 200


def test_what_only_a_key_may_ask_is_refused_whatever_the_path_looks_like(open_gateway, upstream):
    client = open_gateway()
    for path in ("/predictions/demo", "//predictions//demo", "/predictions/%64emo", "/x/../predictions/demo",
                 "/predictions/demo/1.0", "/v1/models/demo:predict", "/v1/models/demo%3apredict",
                 "/v2/models/demo/infer", "/v2/models/demo", "/v2/models/demo/ready", "/openapi.json", "/v2",
                 "/predictions/demo%0a", "http://a/predictions/demo"):  # fmt: skip
        for method in ("POST", "GET"):
            with socket.create_connection(("127.0.0.1", client.gateway.config.listen.port), timeout=10) as connection:
                head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\n[1]"
                connection.sendall(head.encode())
                status = connection.makefile("rb").readline().split()[1]
            assert status in {b"401", b"404", b"405"}, (method, path, status)
    assert upstream.requests == []


# Dates --------------------------------------------------------------------


def ending(keys: Path, client: str, seconds: float, zone: dt.tzinfo = dt.UTC) -> str:
    """A key that ends so soon."""
    return add(keys, Key(client, expires=dt.datetime.now(zone) + dt.timedelta(seconds=seconds)))


def test_an_expired_key_is_refused_with_a_reason_of_its_own_in_every_protocol(open_gateway, upstream, keys):
    over, stays = ending(keys, "over", -1), add(keys, Key("stays"))
    client = open_gateway()
    answer = client.post(x_api_key=over)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "key_expired")
    assert answer.headers["www-authenticate"] == "Bearer"
    infer = client.post("/v2/models/demo/infer", x_api_key=over)
    assert (infer.status_code, infer.json()["error"].partition(":")[0]) == (401, "key_expired")
    assert call(client, x_api_key=over) is grpc.StatusCode.UNAUTHENTICATED
    assert client.post(x_api_key=stays).status_code == 200
    assert [seen.headers["x-onnxserve-client"] for seen in upstream.requests] == ["stays"]
    assert {entry["error"] for entry in client.logged(4) if entry["status"] == 401} == {"key_expired"}


@pytest.mark.parametrize("damage", ["", "{"])
def test_a_learnt_key_ends_when_it_expires_whatever_the_file_is_then(open_gateway, keys, damage):
    short, stays = ending(keys, "short", 3), add(keys, Key("stays"))
    client = open_gateway()
    assert [client.post(x_api_key=secret).status_code for secret in (short, stays) * 2] == [200] * 4
    if damage:
        keys.write_text(damage)
    wait_for(lambda: client.post(x_api_key=short).status_code == 401, PROMISED_S)
    assert client.post(x_api_key=short).json()["error"]["type"] == "key_expired"
    assert client.post(x_api_key=stays).status_code == 200


def test_a_time_that_is_none_makes_a_damaged_file_and_no_key_without_end(open_gateway, keys):
    secret = add(keys, Key("shop"))
    client = open_gateway()
    assert client.post(x_api_key=secret).status_code == 200
    fresh = add(keys, Key("fresh"))
    written = json.loads(keys.read_text())
    for key in written.values():
        key["expires"] = "in spring"
    keys.write_text(json.dumps(written))
    until = time.monotonic() + 2.5  # the file is read once a second
    while time.monotonic() < until:
        assert client.post(x_api_key=secret).status_code == 200
        assert client.post(x_api_key=fresh).status_code == 401


@pytest.mark.parametrize("year", ["2020", "2120"])
@pytest.mark.parametrize(
    "time",
    [
        "-01-31T12:00:00Z",
        "-01-31T12:00:00.123456Z",
        "-01-31T12:00:00+02:00",
        "-01-31t12:00:00-0530",
        "-01-31 12:00:00z",
    ],
)
def test_a_time_is_read_as_the_command_reads_it_whatever_its_notation(open_gateway, keys, year, time):
    secret = add(keys, Key("shop"))
    [written] = json.loads(keys.read_text()).items()
    keys.write_text(json.dumps({written[0]: {**written[1], "expires": year + time}}))
    [key] = read_keys(keys).values()
    answer = open_gateway().post(x_api_key=secret)
    assert answer.status_code == (401 if key.has_expired(dt.datetime.now(dt.UTC)) else 200)
    assert answer.status_code == 200 or answer.json()["error"]["type"] == "key_expired"


def test_a_time_in_another_zone_ends_a_key_at_that_time(open_gateway, keys):
    east = dt.timezone(dt.timedelta(hours=5, minutes=30))
    over, short = ending(keys, "over", -3600, east), ending(keys, "short", 3, east)
    client = open_gateway()
    assert [client.post(x_api_key=secret).status_code for secret in (over, short)] == [401, 200]
    wait_for(lambda: client.post(x_api_key=short).status_code == 401, PROMISED_S)


def test_a_rotation_takes_effect_on_connections_that_are_open(open_gateway, keys):
    old = add(keys, Key("shop"))
    client = open_gateway()
    with raw_connection(client.gateway.config.listen.port) as raw:

        def status(secret: str) -> int:
            answer = raw.ask(post_bytes("/predictions/demo", x_api_key=secret))
            assert answer is not None, "the connection was cut"
            return answer.status

        assert status(old) == 200
        fresh = rotate(keys, "shop", dt.timedelta(seconds=3))
        wait_for(lambda: status(fresh) == 200, PROMISED_S)
        wait_for(lambda: status(old) == 401, PROMISED_S)
        assert status(fresh) == 200


def test_the_access_log_names_the_key_by_the_beginning_of_its_digest_learnt_or_not(open_gateway, keys):
    plain, limited = add(keys, Key("shop")), add(keys, Key("shop", digits=None, per_day=1000))
    client = open_gateway(auth=Auth(required=False))
    for secret in (plain, plain, plain, limited):
        assert client.post(x_api_key=secret).status_code == 200
    assert client.post().status_code == 200
    assert client.post(x_api_key="osk_unknown").status_code == 401
    entries = client.logged(6)
    known = [digest(secret)[:ID] for secret in (plain, plain, plain, limited)]
    assert [entry["key"] for entry in entries] == [*known, "", ""]
    assert {entry["client"] for entry in entries[:4]} == {"shop"}


def test_limits_of_a_client_hold_on_every_path_that_it_may_take(open_gateway, upstream, keys):
    secret, upstream.headers = add(keys, Key("day", per_day=3)), {"x-onnxserve-limited": "2/"}
    client = open_gateway(guard=Guard(digits=2))
    paths = ["/predictions/demo", "/v2/models/demo/infer", "/predictions/other/2.0", "/v1/models/demo:predict"]
    assert [client.post(path, x_api_key=secret).status_code for path in paths] == [200, 200, 200, 429]
