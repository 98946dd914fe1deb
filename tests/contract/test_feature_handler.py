"""A feature store completes rows; it may lack an entity, or may not answer at all."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from onnxserve_handlers.errors import LOG_MESSAGES, InvalidRow, RequestError
from onnxserve_handlers.features import client as stores
from onnxserve_handlers.features.client import FeatureStore, Unavailable
from onnxserve_handlers.features.handler import DEGRADED, DegradedRow, FeaturesUnavailable
from onnxserve_handlers.signature import Features
from tests.helpers.certificates import Authority
from tests.helpers.feast_repo import Now, feast
from tests.helpers.kinds import JoinedClassifier, table_signature
from tests.helpers.upstream import Upstream, listening

SPEC = Features(
    service="drivers_v1",
    entities=("driver_id",),
    columns=("x", "trips"),
    defaults={"x": 7.0, "trips": 8.0},
    ttl_s=10,
    timeout_ms=10_000,  # of tests that aren't about it: a busy machine may take longer than the default
)


@pytest.fixture
def upstream():
    with listening(Upstream(feast)) as server:
        yield server
        for store in opened_stores:
            store.close()
        opened_stores.clear()


opened_stores: list[FeatureStore] = []


def store_of(upstream: Upstream, spec: Features = SPEC, now: Callable[[], float] | None = None) -> FeatureStore:
    opened_stores.append(FeatureStore(spec, f"http://127.0.0.1:{upstream.port}", now or Now()))
    return opened_stores[-1]


def handler_of(upstream: Upstream, **changes: Any) -> JoinedClassifier:
    spec = Features(**{**{name: getattr(SPEC, name) for name in Features.__dataclass_fields__}, **changes})
    handler = JoinedClassifier()
    handler.signature = table_signature("x", "trips", "z", labels=("a",), features=spec)
    handler.settings = {"features": f"http://127.0.0.1:{upstream.port}"}
    handler.prepare()
    assert handler.store
    opened_stores.append(handler.store)
    return handler


def test_a_batch_is_one_lookup_and_every_key_is_asked_once(upstream):
    handler = handler_of(upstream)
    rows = handler.check_all(
        [{"driver_id": 1, "z": 1}, [1, 2, 3], {"driver_id": 1, "z": 2, "x": 9}, {"x": 1, "trips": 2, "z": 3}], range(4)
    )
    assert rows == [[0.5, 3.0, 1.0], [1.0, 2.0, 3.0], [9.0, 3.0, 2.0], [1.0, 2.0, 3.0]]
    assert [json.loads(request.body) for request in upstream.requests] == [
        {"feature_service": "drivers_v1", "entities": {"driver_id": [1]}}
    ]


def test_what_was_looked_up_is_kept_for_a_while(upstream):
    now = Now()
    store = store_of(upstream, now=now)
    assert store.look_up([(1,), (2,)]) == {(1,): {"x": 0.5, "trips": 3.0}, (2,): {"x": 5.0, "trips": None}}
    assert store.look_up([(1,), (4,)])[4,] == {"x": None, "trips": None}
    assert [json.loads(request.body)["entities"]["driver_id"] for request in upstream.requests] == [[1, 2], [4]]
    now.time += 11
    store.look_up([(1,)])
    assert len(upstream.requests) == 3


def test_an_unknown_entity_is_refused_or_gets_its_defaults_as_the_definition_says(upstream):
    refused, known = handler_of(upstream).check_all([{"driver_id": 9, "z": 1}, {"driver_id": 1, "z": 1}], [0, 1])
    assert isinstance(refused, InvalidRow)
    assert refused.reason == "nothing is known of ['x', 'trips'] for driver_id 9"
    assert known == [0.5, 3.0, 1.0]
    rows = handler_of(upstream, missing="default").check_all(
        [{"driver_id": 9, "z": 1}, {"driver_id": 2, "z": 1}], [0, 1]
    )
    assert rows == [[7.0, 8.0, 1.0], [5.0, 8.0, 1.0]]


@pytest.mark.parametrize(
    "instance", [{"z": 1}, {"driver_id": None, "z": 1}, {"driver_id": 1}, {"driver_id": 1, "z": 1, "q": 1}]
)
def test_rows_without_keys_or_values_say_what_is_missing(upstream, instance):
    [row] = handler_of(upstream).check_all([instance], [0])
    assert isinstance(row, InvalidRow)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("1", "this key is a whole number"),
        ("", "this key is a whole number"),
        (1.5, "this key is a whole number"),
        (True, "this key is a whole number"),
        ([1], "this key is a whole number"),
        (2**63, "a key has at most 64 bits"),
        (-(2**63) - 1, "a key has at most 64 bits"),
    ],
)
def test_a_key_that_the_store_could_not_read_is_that_rows_error_alone(upstream, key, reason):
    handler = handler_of(upstream, key_types={"driver_id": "int64"})
    refused, known = handler.check_all([{"driver_id": key, "z": 1}, {"driver_id": 1, "z": 1}], [0, 1])
    assert isinstance(refused, InvalidRow)
    assert (refused.reason, refused.where) == (reason, "instances[0].driver_id")
    assert known == [0.5, 3.0, 1.0]
    assert [json.loads(request.body)["entities"]["driver_id"] for request in upstream.requests] == [[1]]


def test_keys_are_of_the_type_that_the_stores_entities_have(upstream):
    for kind, key, reason in (
        ("string", 1, "this key is a text"),
        ("string", "", "a key can't be empty"),
        ("int32", 2**31, "a key has at most 32 bits"),
    ):
        [refused] = handler_of(upstream, key_types={"driver_id": kind}).check_all([{"driver_id": key, "z": 1}], [0])
        assert isinstance(refused, InvalidRow)
        assert refused.reason == reason
    for old_archive in ({}, {"driver_id": "int64"}):
        assert handler_of(upstream, key_types=old_archive).check({"driver_id": 1, "z": 1}, "") == [0.5, 3.0, 1.0]
    [refused] = handler_of(upstream).check_all([{"driver_id": "", "z": 1}], [0])
    assert refused.reason == "a key can't be empty"


def test_a_reply_that_is_too_short_costs_only_the_rows_that_it_leaves_out(upstream):
    def short(path: str, body: bytes) -> tuple[int, bytes]:
        status, content = feast(path, body)
        reply = json.loads(content)
        reply["results"][1]["values"].pop()
        return status, json.dumps(reply).encode()

    upstream.answer = short
    known, unknown = handler_of(upstream).check_all([{"driver_id": 1, "z": 1}, {"driver_id": 2, "z": 1}], [0, 1])
    assert known == [0.5, 3.0, 1.0]
    assert isinstance(unknown, FeaturesUnavailable)


def test_old_values_are_better_than_nothing_and_marked(upstream):
    now = Now()
    handler = handler_of(upstream, unavailable="default")
    handler.store = store_of(upstream, now=now)
    [row] = handler.check_all([{"driver_id": 1, "z": 1}], [0])
    assert handler.notes([row]) == ()
    now.time += 11
    upstream.answer = lambda *_: (500, b"{}")
    [row] = handler.check_all([{"driver_id": 1, "z": 1}], [0])
    assert row == [0.5, 3.0, 1.0]
    assert handler.notes([row]) == (DEGRADED,)


def test_https_is_spoken_to_https(upstream, tmp_path, monkeypatch):
    authority = Authority(tmp_path / "authority")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with listening(Upstream(feast), authority.sign("store")) as secure:
        opened_stores.append(
            FeatureStore(Features(**{**vars(SPEC), "timeout_ms": 5000}), f"https://127.0.0.1:{secure.port}")
        )
        assert opened_stores[-1].look_up([(1,)]) == {(1,): {"x": 0.5, "trips": 3.0}}
    with pytest.raises(ValueError, match="a URL of http or https"):
        FeatureStore(SPEC, "redis://localhost")


def test_a_store_that_is_away_costs_defaults_or_a_503_and_says_so(upstream):
    upstream.answer = lambda *_: (500, b"{}")
    [row, own] = handler_of(upstream, unavailable="default").check_all([{"driver_id": 1, "z": 1}, [1, 2, 3]], [0, 1])
    assert (row, type(row)) == ([7.0, 8.0, 1.0], DegradedRow)
    assert handler_of(upstream).notes([row]) == (DEGRADED,)
    assert handler_of(upstream).notes([own]) == ()
    [refused] = handler_of(upstream).check_all([{"driver_id": 1, "z": 1}], [0])
    assert isinstance(refused, FeaturesUnavailable)
    assert refused.status == 503


def test_what_is_known_from_before_is_better_than_nothing(upstream):
    now = Now()
    store = store_of(upstream, now=now)
    store.look_up([(1,)])
    now.time += 11
    upstream.answer = lambda *_: (500, b"{}")
    assert store.look_up([(1,), (2,)]) == {(1,): {"x": 0.5, "trips": 3.0}, (2,): None}


@pytest.mark.parametrize(
    "answer",
    [(200, b"not json"), (200, b"{}"), (404, b"{}"), (200, b'{"metadata":{"feature_names":["x"]},"results":[]}')],
)
def test_an_answer_that_is_none_is_no_answer(upstream, answer):
    upstream.answer = lambda *_: answer
    assert store_of(upstream).look_up([(1,)]) == {(1,): None}


def test_a_slow_store_is_waited_for_no_longer_than_allowed(upstream):
    upstream.delay_s = 5
    store, start = store_of(upstream, Features(**{**vars(SPEC), "timeout_ms": 50}), time.monotonic), time.monotonic()
    assert store.look_up([(1,)]) == {(1,): None}
    assert time.monotonic() - start < upstream.delay_s


def test_after_some_failures_nobody_is_asked_for_a_while(upstream):
    now = Now()
    upstream.answer = lambda *_: (500, b"{}")
    store = store_of(upstream, now=now)
    for _ in range(10):
        store.look_up([(1,)])
    assert len(upstream.requests) == stores.PATIENCE
    now.time += 1.1
    store.look_up([(1,)])
    assert len(upstream.requests) == stores.PATIENCE + 1
    now.time += 1.1
    store.look_up([(1,)])
    assert len(upstream.requests) == stores.PATIENCE + 1, "the pause doubles"
    now.time += 1.1
    upstream.answer = feast
    assert store.look_up([(1,)])[1,] == {"x": 0.5, "trips": 3.0}
    assert store.look_up([(2,)])[2,] is not None


def test_nobody_listening_is_no_answer(upstream):
    store = FeatureStore(SPEC, "http://127.0.0.1:9")
    with pytest.raises(Unavailable):
        store._request([(1,)])


def test_a_row_alone_is_looked_up_too(upstream):
    handler = handler_of(upstream)
    assert handler.check({"driver_id": 1, "z": 4}, "instances[0]") == [0.5, 3.0, 4.0]
    with pytest.raises(RequestError):
        handler.check({"driver_id": 9, "z": 4}, "instances[0]")


def test_the_words_of_a_store_that_fails_are_in_no_log(upstream, caplog, monkeypatch):
    caplog.set_level(logging.WARNING, stores.log.name)  # libraries of other tests set the root's level
    upstream.answer = lambda *_: (500, b'{"detail": "no value for bob@example.org"}')
    assert store_of(upstream).look_up([("bob@example.org",)]) == {("bob@example.org",): None}
    assert "it says 500" in caplog.text
    assert "bob" not in caplog.text
    monkeypatch.setenv(LOG_MESSAGES, "1")
    store_of(upstream).look_up([("bob@example.org",)])
    assert "bob" in caplog.text
