"""Requests in the forms of other servers' clients: names before rows, other names of types, base64."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxserve_handlers.errors import UndecodableBody
from onnxserve_handlers.offline import OfflineContext
from onnxserve_handlers.protocols.body import media_type, unwrap
from tests.helpers.fakes import ask, ask_json, with_fake_session, word_tokenizer
from tests.helpers.inference import features, send
from tests.helpers.kinds import TableClassifier, TextClassifier
from tests.unit.handlers.inputs.test_image import handler as image
from tests.unit.handlers.inputs.test_image import picture

__all__ = ["image"]
BOM = b"\xef\xbb\xbf"


@pytest.fixture
def text(tmp_path):
    word_tokenizer().save(str(tmp_path / "tokenizer.json"))
    handler = with_fake_session(TextClassifier(), max_tokens=8)
    handler.folder = tmp_path
    handler.prepare()
    return handler


def same(handler, plain, *others):
    """Check that all documents get the response of the first, which is valid."""
    answers = ask_json(handler, plain, *others)
    assert answers[0][0] == 200
    assert all(answer == answers[0] for answer in answers), answers


def test_a_table_row_may_have_a_name_before_it_alone_and_among_instances(table):
    row = [1, 2]
    by_name = {"a": 1, "b": 2}
    named = [row, by_name, {"data": row}, {"features": row}, {"row": by_name}, {"data": {"features": row}}]
    same(table, *named, *({"instances": [row]} for row in named))


def test_a_text_may_have_a_name_before_it_and_be_base64_as_tensorflow_has_it(text):
    encoded = {"b64": base64.b64encode(b"good film").decode()}
    named = ["good film", {"text": "good film"}, {"data": "good film"}, {"text": encoded}, encoded, {"data": encoded}]
    same(text, *named, *({"instances": [row]} for row in named))


def test_an_image_may_have_a_name_before_it_and_be_base64_as_tensorflow_has_it(image):
    encoded = base64.b64encode(picture()).decode()
    named = [encoded, {"image": encoded}, {"data": encoded}, {"b64": encoded}, {"image": {"b64": encoded}}]
    same(image, *named, *({"instances": [row]} for row in named))


def test_a_signature_name_beside_instances_names_the_only_one(table):
    same(table, {"instances": [[1, 2]]}, {"signature_name": "serving_default", "instances": [[1, 2]]})


def test_a_column_with_the_name_of_a_row_is_a_column():
    handler = TableClassifier()
    with_fake_session(handler, columns=("data",))
    handler.prepare()
    same(handler, [3], {"data": 3}, {"features": [3]}, {"instances": [{"data": 3}]}, {"row": {"data": 3}})


@pytest.mark.parametrize("row", [{"data": [1]}, {"data": {}}, {"other": [1, 2]}, {}])
def test_a_name_before_what_is_no_row_changes_nothing(table, row):
    [(status, answer)] = ask_json(table, {"instances": [[1, 2], row]})
    assert (status, answer["error"]["where"]) == (422, "instances[1]")


@given(st.recursive(st.none() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_what_has_no_known_name_is_left_as_it_is(value):
    assert unwrap(value, ()) is value


@pytest.mark.parametrize(
    ("given_type", "read"),
    [
        ("image/jpg", "image/jpeg"),
        ("IMAGE/PJPEG; q=1", "image/jpeg"),
        ("image/x-png", "image/png"),
        ("application/vnd.api+json", "application/json"),
        ("application/ld+json; charset=utf-8", "application/json"),
        ("text/json", "application/json"),
        ("application/grpc+json", "application/grpc+json"),
        ("text/plain", "text/plain"),
        ("image/tiff", "image/tiff"),
    ],
)
def test_a_type_is_read_under_its_other_names(given_type, read):
    assert media_type({"Content-Type": given_type}) == read


def test_a_jpeg_under_another_name_is_an_image_and_json_under_another_name_is_json(image, table):
    jpeg = picture(kind="JPEG")
    answers = ask(image, *((jpeg, kind) for kind in ("image/jpeg", "image/jpg", "image/pjpeg")))
    assert [status for status, _ in answers] == [200] * 3
    assert ask(table, (b"[1, 2]", "application/vnd.api+json"))[0][0] == 200


def ask_form(handler: Any, *fields: tuple[str, bytes, str]) -> tuple[int, Any]:
    """Ask with a multipart form as TorchServe's frontend decodes it: a field's type lies among the headers."""
    context = OfflineContext(Path())
    types: dict[str, Any] = {name: {"content-type": kind} for name, _, kind in fields}
    context.headers = [{"content-type": "multipart/form-data; boundary=x"} | types]
    [answer] = handler.handle([{name: bytearray(content) for name, content, _ in fields}], context)
    return context.statuses.get(0, (200, ""))[0], json.loads(answer)


def test_a_forms_field_is_a_body_of_its_own_type(image, table):
    jpeg, row = picture(kind="JPEG"), b"[1, 2]"
    for kind in ("image/jpeg", "image/jpg", "application/octet-stream", ""):
        assert ask_form(image, ("data", jpeg, kind))[0] == 200
    for name in ("data", "body", "file"):
        assert ask_form(table, (name, row, "application/json")) == ask(table, (row, "application/json"))[0]
    for name in ("key", "accept", "content-encoding"):
        assert ask_form(table, ("data", row, ""), (name, b"value", "text/plain"))[0] == 200
    status, answer = ask_form(table, ("data", row, "image/tiff"))
    assert (status, answer["error"]["type"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("fields", [(), (("left", b"[1, 2]", ""), ("right", b"[1, 2]", ""))])
def test_a_form_without_the_field_of_rows_is_refused_by_its_fields(table, fields):
    status, answer = ask_form(table, *fields)
    assert (status, answer["error"]["type"]) == (400, "undecodable_body")
    assert "curl -F data=@FILE" in answer["error"]["fix"]


def test_json_and_text_after_a_byte_order_mark_are_read(table, text):
    tensors = json.dumps({"inputs": [features([[1, 2]])]}).encode()
    for body in (b"[1, 2]", b'{"instances": [[1, 2]]}', tensors):
        assert ask(table, (BOM + body, "application/json")) == ask(table, (body, "application/json"))
    length = {"Inference-Header-Content-Length": str(len(BOM + tensors))}
    assert send(table, (BOM + tensors, length))[0][0] == 200
    assert ask(text, (BOM + b"good", "text/plain")) == ask(text, (b"good", "text/plain"))
    assert ask(table, (BOM, "application/json"))[0][0] == 400


HALF = "\ud83d"  # of a surrogate pair


@pytest.mark.parametrize(
    "document",
    [
        HALF,
        {"text": HALF},
        {HALF: "fine"},
        {"instances": [{"text": "fine"}, HALF]},
        {"id": HALF, "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["fine"]}]},
        {"inputs": [{"name": HALF, "shape": [1], "datatype": "BYTES", "data": ["fine"]}]},
    ],
)
def test_half_of_a_surrogate_pair_that_a_frontend_let_through_is_refused_and_harms_no_other_request(text, document):
    context = OfflineContext(Path())
    context.headers = [{}, {}]
    answers = text.handle([{"body": document}, {"body": {"text": "fine"}}], context)
    assert json.loads(answers[0])["error"]["type"] == UndecodableBody.kind
    assert context.statuses[0][0] == 400
    assert "predictions" in json.loads(answers[1])
