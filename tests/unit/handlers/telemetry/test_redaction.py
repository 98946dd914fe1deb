"""Redaction by allow-list: no log shows a secret, wherever a request holds it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from onnxserve.archive import unpack
from onnxserve_handlers.errors import LOG_MESSAGES, InvalidRow, stack_of
from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inputs.image import ImageOptions
from onnxserve_handlers.inputs.text import TextOptions
from onnxserve_handlers.offline import OfflineContext, loaded
from onnxserve_handlers.signature import Features
from onnxserve_handlers.telemetry.prediction_log import PredictionLog, Settings
from onnxserve_handlers.telemetry.recorder import Recorder
from onnxserve_handlers.telemetry.redaction import REDACTED, Redaction
from tests.helpers.kinds import table_signature
from tests.helpers.secrets import KEPT, NUMBER, OWN_ID, SECRET, Body, bodies

TABLE = table_signature("x", "email", labels=("a",))
TEXTS = replace(TABLE, input=TextOptions())
PAIRS = replace(TABLE, input=TextOptions(pairs=True))


@pytest.mark.parametrize(
    ("row", "kept", "count"),
    [
        ([1.0, 2.0], {"x": 1.0, "email": REDACTED}, 1),
        ({"x": 1.0, "email": 2.0}, {"x": 1.0, "email": REDACTED}, 1),
        ({"x": 1.0, "Email": SECRET}, {"x": 1.0}, 1),
        ({"x": 1.0, SECRET: 2.0, "more": [SECRET]}, {"x": 1.0}, 2),
        ({"x": {"email": SECRET}}, {"x": REDACTED}, 1),
        ({"x": [SECRET]}, {"x": REDACTED}, 1),
        ([1.0, 2.0, SECRET], REDACTED, 3),
        ([SECRET], REDACTED, 1),
        ([[1.0, SECRET]], REDACTED, 1),
        (SECRET, REDACTED, 1),
        (SECRET.encode(), REDACTED, 1),
        ({}, {}, 0),
    ],
)
def test_of_a_table_row_the_signatures_columns_are_kept_and_all_else_is_counted(row, kept, count):
    redacted = Redaction(TABLE, ("EMAIL",)).row(row)
    assert redacted.row is not None
    assert (json.loads(redacted.row), redacted.redacted) == (kept, count)


def test_keys_of_a_feature_store_are_fields_too():
    signature = replace(TABLE, features=Features(entities=("customer", "email")))
    redacted = Redaction(signature, ("email",)).row({"customer": 7, "x": 1.0, "email": SECRET})
    assert json.loads(redacted.row or "") == {"customer": 7, "x": 1.0, "email": REDACTED}


def test_a_text_is_kept_where_rows_are_texts_and_nothing_else_is():
    assert Redaction(TEXTS).row("fine").row == '"fine"'
    assert Redaction(TEXTS).row("ümlaut".encode()).row == '"ümlaut"'
    for row in ({"text": SECRET, "more": 1}, [SECRET], {"b64": "c2VjcmV0"}, 7):
        assert Redaction(TEXTS).row(row).row == f'"{REDACTED}"'
    assert Redaction(TEXTS, ("Text",)).row(SECRET).row == f'"{REDACTED}"'


def test_images_are_never_kept():
    images = Redaction(replace(TABLE, input=ImageOptions(height=8, width=8)))
    for row in (SECRET, SECRET.encode(), {"image": SECRET}, [SECRET]):
        assert images.row(row) == (None, 0)


def test_a_label_that_is_none_of_the_signatures_is_a_clients_word():
    redaction = Redaction(TABLE)
    assert [redaction.label(label) for label in ("a", None, SECRET, {"a": 1})] == ["a", None, REDACTED, REDACTED]


def test_a_stack_has_no_message_of_any_cause_and_says_where_it_was(monkeypatch):
    def fail() -> None:
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            raise KeyError(SECRET) from error

    with pytest.raises(KeyError) as caught:
        fail()
    stack = stack_of(caught.value)
    assert SECRET not in stack
    assert "KeyError" in stack
    assert "ValueError" in stack
    assert "in fail" in stack
    monkeypatch.setenv(LOG_MESSAGES, "1")
    assert SECRET in stack_of(caught.value)


# The whole handler -----------------------------------------------------------------


class Recorded:
    """A handler whose prediction log keeps everything that redaction allows."""

    def __init__(self, handler: Handler, folder: Path) -> None:
        self.handler, self.folder = handler, folder
        settings = Settings(str(folder / "log"), 100.0, redact=("y",))
        self.prediction_log = PredictionLog(settings, handler)
        handler.recorder = Recorder(handler, prediction_log=self.prediction_log)

    def ask(self, body: Body) -> int:
        """Send a body, and return the status."""
        context = OfflineContext(self.folder)
        context.headers = [dict(body.headers)]
        self.handler.handle([{"body": body.content}], context)
        return context.statuses.get(0, (200, ""))[0]

    def written(self) -> list[dict[str, Any]]:
        self.prediction_log.flush()
        paths = sorted((self.folder / "log").rglob("*.parquet"))
        return [row for path in paths for row in pq.read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def handler(archive, tmp_path_factory) -> Handler:
    folder = tmp_path_factory.mktemp("unpacked")
    unpack(archive, folder)
    return loaded(folder)[0]


@pytest.fixture
def recorded(handler, tmp_path) -> Iterator[Recorded]:
    recorded = Recorded(handler, tmp_path)
    yield recorded
    recorded.prediction_log.close()
    handler.recorder = None


@pytest.mark.parametrize("body", bodies(), ids=lambda body: body.name)
def test_a_secret_in_any_place_of_a_body_is_in_no_log(recorded, body, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    status = recorded.ask(body)
    assert status in body.statuses
    rows = recorded.written()
    assert rows
    output = caplog.text + "".join(capfd.readouterr()) + json.dumps(rows, default=str)
    for secret in (SECRET, OWN_ID, str(NUMBER)):
        assert secret not in output
    if body.keeps:
        assert str(KEPT) in rows[0]["input"]


def test_what_a_handler_raises_on_a_row_is_logged_without_the_row(recorded, caplog, monkeypatch):
    def broken(instance: Any, where: str) -> Any:
        raise ValueError(f"{instance!r} at {where}")

    body = Body("", json.dumps({"x": KEPT, "y": SECRET}).encode(), {})
    monkeypatch.setattr(recorded.handler, "read", lambda read: broken(read.content, "body"))
    assert recorded.ask(body) == 500
    monkeypatch.undo()
    monkeypatch.setattr(recorded.handler, "check", broken)
    assert recorded.ask(body) == 500
    assert "ValueError" in caplog.text
    assert "in broken" in caplog.text
    assert SECRET not in caplog.text + json.dumps(recorded.written(), default=str)


def test_the_good_rows_of_a_request_stay_beside_the_mark_of_a_refused_one(recorded):
    body = {"instances": [{"x": KEPT, "y": 1}, {"x": 1, "Y": SECRET}, [SECRET] * 7]}
    assert recorded.ask(Body("", json.dumps(body).encode(), {})) == 422
    first, second, third = recorded.written()
    assert json.loads(first["input"]) == {"x": KEPT, "y": REDACTED}
    assert [json.loads(row["input"]) for row in (second, third)] == [REDACTED, REDACTED]
    assert [row["redacted"] for row in (first, second, third)] == [1, 2, 7]
    assert {row["error"] for row in (first, second, third)} == {InvalidRow.kind}


def test_both_texts_of_a_pair_are_kept_by_name_and_hidden_together():
    kept = {"text": "a", "text_pair": "b"}
    for row in (["a", "b"], kept):
        redacted = Redaction(PAIRS).row(row)
        assert (json.loads(redacted.row or ""), redacted.redacted) == (kept, 0)
        assert SECRET not in (Redaction(PAIRS, ["Text"]).row([SECRET, SECRET]).row or "")
    only_second = Redaction(PAIRS, ["text_pair"]).row(["a", SECRET])
    assert json.loads(only_second.row or "") == {"text": "a", "text_pair": REDACTED}
