"""Text rows."""

import numpy as np
import pytest

from onnxserve_handlers.inputs.text import TextOptions
from tests.helpers.fakes import ask, ask_json, signature, with_fake_session, word_tokenizer
from tests.helpers.kinds import TextClassifier


@pytest.fixture
def handler(tmp_path) -> TextClassifier:
    word_tokenizer().save(str(tmp_path / "tokenizer.json"))
    made = TextClassifier()
    made.folder, made.signature = tmp_path, signature(TextOptions(max_tokens=4))
    made.prepare()
    with_fake_session(made, max_tokens=4)
    return made


def test_plain_text_a_string_and_an_object_are_one_row(handler):
    answers = ask(handler, (b"good film", "text/plain"), (b'"good film"', "application/json"))
    answers += ask_json(handler, {"text": "good film"}, {"instances": ["good film", {"text": "good film"}]})
    assert [status for status, _ in answers] == [200] * 4
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("document", ["", "   ", 3, None, {"text": 3}, ["good"], {"words": "good"}, "good " * 5])
def test_what_is_no_short_text_is_422(handler, document):
    [(status, answer)] = ask_json(handler, document)
    assert (status, answer["error"]["type"]) == (422, "invalid_row")


def test_text_that_is_not_utf8_is_400(handler):
    assert ask(handler, (b"\xff\xff", "text/plain"))[0][0] == 400


def test_rows_are_padded_to_the_longest_and_masked(handler):
    rows = [handler.check(text, "x") for text in ("good", "good film good")]
    tensors = handler.tensors(rows)
    np.testing.assert_array_equal(tensors["input_ids"], [[2, 0, 0], [2, 3, 2]])
    np.testing.assert_array_equal(tensors["attention_mask"], [[1, 0, 0], [1, 1, 1]])
