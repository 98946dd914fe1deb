"""Any bytes get one typed response, and the valid request beside them gets its own."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onnxserve_handlers.inputs.text import TextOptions
from tests.helpers.fakes import ask, signature, with_fake_session, word_tokenizer
from tests.helpers.kinds import ImageClassifier, TableClassifier, TextClassifier

KINDS = ["application/json", "", "text/plain", "image/png", "application/octet-stream", "x/y; charset=z"]
ALLOWED = {200, 400, 413, 415, 422}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
tensors = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["features", "text", "image"]),
        "datatype": st.sampled_from(["FP32", "BYTES", "INT8", "X"]),
    },
    optional={"shape": st.lists(st.integers(-2, 9), max_size=3), "data": values, "parameters": values},
)
documents = (
    values
    | st.builds(lambda rows: {"instances": rows}, st.lists(values))
    | st.lists(st.floats(), max_size=3)
    | st.builds(lambda inputs: {"inputs": inputs}, st.lists(tensors) | values)
)
bodies = st.binary(max_size=300) | documents.map(lambda value: json.dumps(value).encode())
images = st.binary(max_size=200).map(lambda tail: b"\x89PNG\r\n\x1a\n" + tail)


@pytest.fixture(scope="module")
def table():
    handler = TableClassifier()
    with_fake_session(handler, columns=("a", "b"), max_rows=8)
    handler.prepare()
    return handler


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    handler = TextClassifier()
    handler.folder, handler.signature = tmp_path_factory.mktemp("text"), signature(TextOptions(max_tokens=8))
    word_tokenizer().save(str(handler.folder / "tokenizer.json"))
    handler.prepare()
    return with_fake_session(handler, max_tokens=8)


@pytest.fixture(scope="module")
def image():
    return with_fake_session(ImageClassifier(), height=2, width=2)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=bodies, kind=st.sampled_from(KINDS))
def test_a_table_handler_answers_any_bytes(table, body, kind):
    (status, answer), (neighbour, good) = ask(table, (body, kind), (b"[1, 2]", "application/json"))
    assert status in ALLOWED
    assert ("predictions" in answer) == (status == 200)
    assert (neighbour, good["predictions"][0]["label"]) == (200, "yes")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=bodies | st.text(max_size=60).map(str.encode), kind=st.sampled_from(KINDS))
def test_a_text_handler_answers_any_bytes(text, body, kind):
    (status, answer), (neighbour, _) = ask(text, (body, kind), (b"good film", "text/plain"))
    assert status in ALLOWED
    assert ("predictions" in answer) == (status == 200)
    assert neighbour == 200


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=bodies | images, kind=st.sampled_from(KINDS))
def test_an_image_handler_answers_any_bytes(image, body, kind):
    [(status, answer)] = ask(image, (body, kind))
    assert status in ALLOWED
    assert ("error" in answer) == (status != 200)
