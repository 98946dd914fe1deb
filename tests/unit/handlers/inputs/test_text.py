"""Text rows."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from onnxserve_handlers.inputs.text import TextOptions
from tests.helpers.fakes import ask, ask_json, signature, with_fake_session, word_tokenizer
from tests.helpers.kinds import TextClassifier


@pytest.fixture
def handler(tmp_path) -> TextClassifier:
    word_tokenizer().save(str(tmp_path / "tokenizer.json"))
    classifier = TextClassifier()
    classifier.folder, classifier.signature = tmp_path, signature(TextOptions(max_tokens=4))
    classifier.prepare()
    with_fake_session(classifier, max_tokens=4)
    return classifier


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


def test_a_text_that_the_tokenizer_cannot_read_fails_alone(tmp_path):
    tokenizer = Tokenizer(models.WordLevel({"good": 0, "film": 1}, unk_token="[UNK]"))  # which the vocabulary lacks
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    handler = TextClassifier()
    handler.folder = tmp_path
    with_fake_session(handler, max_tokens=4)
    handler.prepare()
    (refused, answer), (accepted, _) = ask_json(handler, "bad film", "good film")
    assert (refused, answer["error"]["type"], answer["error"]["where"]) == (422, "invalid_row", "instances[0]")
    assert "no token" in answer["error"]["reason"]
    assert accepted == 200


class PanicException(BaseException):
    """Stands for pyo3's type, which no module has."""

    __module__ = "pyo3_runtime"


class PanickingTokenizer:
    """Panics at one text, as the library has done at rare characters."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer

    def encode_batch_fast(self, sources, **options):
        if "bad" in sources:
            raise PanicException
        return self._tokenizer.encode_batch_fast(sources, **options)


def test_a_text_at_which_the_tokenizer_panics_fails_alone(handler):
    handler.tokenizer = PanickingTokenizer(handler.tokenizer)
    (refused, answer), (accepted, _) = ask_json(handler, "bad", "good")
    assert (refused, answer["error"]["type"], accepted) == (422, "invalid_row", 200)


def test_a_check_of_a_whole_batch_that_fails_costs_only_the_culprit_its_answer(handler, monkeypatch):
    def check_all(instances, places):
        if "bad" in instances:
            raise ValueError("secret of another caller")
        return [handler.check(instance, "row") for instance in instances]

    monkeypatch.setattr(handler, "check_all", check_all)
    answers = ask_json(handler, "good", "bad", {"instances": ["good", "film"]})
    assert [status for status, _ in answers] == [200, 500, 200]
    assert answers[1][1]["error"]["type"] == "internal_error"
