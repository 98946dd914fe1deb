"""Rows that are two texts, words or a text that is too long, and the tensors that they become."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from onnxserve_handlers.errors import InvalidRow, RequestError
from onnxserve_handlers.inputs.text import TextInput, TextOptions
from onnxserve_handlers.inputs.text_tokens import TENSORS as ALL
from onnxserve_handlers.tasks import Hooks
from onnxserve_handlers.telemetry.drift_window import row_key
from tests.helpers.fakes import signature
from tests.helpers.tokenizer_files import CLS, FILM, GOOD, PAD, SEP, save_tokenizer

Opened = Callable[..., Any]


class Texts(TextInput, Hooks):
    """Texts for a task that doesn't ask where tokens stand."""


class TextWithOffsets(Texts):
    """Texts for a task that does."""

    reads_offsets = True


@pytest.fixture
def opened(tmp_path) -> Opened:
    def open_with(kind: type[Texts] = Texts, padding: str = "right", **options: Any) -> Texts:
        hooks = kind()
        hooks.folder, hooks.signature = save_tokenizer(tmp_path, padding), signature(TextOptions(**options))
        hooks.prepare()
        return hooks

    return open_with


def test_a_pair_is_an_object_or_a_list_and_its_second_text_has_another_type(opened):
    hooks = opened(pairs=True, tensors=ALL)
    rows = [hooks.check(value, "x") for value in (["good", "film good"], {"text": "good", "text_pair": "film good"})]
    assert rows[0] == rows[1] == [CLS, GOOD, SEP, FILM, GOOD, SEP]
    tensors = hooks.tensors([rows[0], hooks.check(["film", "film"], "x")])
    assert list(tensors) == list(ALL)
    assert tensors["token_type_ids"].tolist() == [[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0]]
    assert tensors["position_ids"].tolist() == [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 0]]
    assert tensors["attention_mask"].tolist() == [[1] * 6, [1] * 5 + [0]]
    assert tensors["special_tokens_mask"].tolist() == [[1, 0, 1, 0, 0, 1], [1, 0, 1, 0, 1, 1]]
    assert hooks.dynamic_axes == {name: {1: "sequence"} for name in ALL}


def test_a_pair_without_types_has_zeros_whatever_the_tokenizers_file_gives(opened):
    hooks = opened(pairs=True, pair_types=False, tensors=ALL[:3])
    tensors = hooks.tensors([hooks.check(["good", "film good"], "x")])
    assert tensors["token_type_ids"].tolist() == [[0] * 6]
    options = TextOptions(pairs=True, pair_types=False)
    assert options.complete(ALL[:1], ALL[1:3]).tensors == ALL[:2]
    assert options.complete(ALL[:3], ()).tensors == ALL[:3]


def test_equal_pairs_are_one_row_to_drift(opened):
    hooks = opened(pairs=True)
    keys = {row_key(hooks.check(["good", "film good"], "x")) for _ in range(30)}
    assert len(keys) == 1
    assert row_key(hooks.check(["good film", "good"], "x")) not in keys


@pytest.mark.parametrize("value", ["good", ["good"], ["good", " "], {"text": "good"}, ["good", 3], ["a", "b", "c"]])
def test_what_is_no_pair_is_refused(opened, value):
    with pytest.raises(InvalidRow):
        opened(pairs=True).check(value, "x")


def test_a_batch_of_pairs_is_checked_as_each_pair_alone(opened):
    hooks = opened(pairs=True)
    values = [["good", "film"], "good", ["film", "good good"]]
    first, second, third = hooks.check_all(values, range(3))
    assert isinstance(second, RequestError)
    assert second.where == "instances[1]"
    assert [first, third] == [hooks.check(value, "x") for value in (values[0], values[2])]


@pytest.mark.parametrize(
    ("truncate", "ids"),
    [("right", [CLS, GOOD, FILM, SEP]), ("left", [CLS, FILM, FILM, SEP]), ("longest_first", [CLS, GOOD, FILM, SEP])],
)
def test_a_long_text_keeps_the_side_that_the_definition_says(opened, truncate, ids):
    assert opened(max_tokens=4, truncate=truncate).check("good film film", "x") == ids


def test_a_long_text_is_refused_by_default_whatever_the_tokenizers_file_says(opened):
    hooks = opened(max_tokens=4)
    assert len(hooks.check("good film", "x")) == 4
    with pytest.raises(InvalidRow, match="5 tokens, at most 4"):
        hooks.check("good film film", "x")


@pytest.mark.parametrize(
    ("truncate", "ids"),
    [
        ("right", [CLS, GOOD, GOOD, SEP, FILM, SEP]),
        ("left", [CLS, GOOD, GOOD, SEP, GOOD, SEP]),
    ],
)
def test_of_a_long_pair_the_second_text_is_cut(opened, truncate, ids):
    hooks = opened(pairs=True, max_tokens=6, truncate=truncate)
    assert hooks.check(["good good", "film film good"], "x") == ids


@pytest.mark.parametrize(
    ("pair", "ids"),
    [
        (["good good good good", "film"], [CLS, GOOD, GOOD, SEP, FILM, SEP]),
        (["good", "film film film film"], [CLS, GOOD, SEP, FILM, FILM, SEP]),
    ],
)
def test_of_a_long_pair_the_longer_text_may_be_cut(opened, pair, ids):
    assert opened(pairs=True, max_tokens=6, truncate="longest_first").check(pair, "x") == ids


def test_a_first_text_that_leaves_no_room_fails_alone(opened):
    hooks = opened(pairs=True, max_tokens=6, truncate="right")
    rows = hooks.check_all([["good " * 9, "film"], ["good", "film"]], range(2))
    assert isinstance(rows[0], InvalidRow)
    assert rows[0].where == "instances[0].text"
    assert rows[1] == [CLS, GOOD, SEP, FILM, SEP]


def test_padding_stands_on_the_side_that_the_tokenizers_file_says(opened):
    hooks = opened(padding="left")
    tensors = hooks.tensors([hooks.check(text, "x") for text in ("good", "good film")])
    assert tensors["input_ids"].tolist() == [[PAD, CLS, GOOD, SEP], [CLS, GOOD, FILM, SEP]]
    assert tensors["attention_mask"].tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]


@pytest.mark.parametrize(("padding", "side"), [("right", "left"), ("left", "left"), ("left", "right")])
def test_a_stated_side_of_padding_goes_before_that_of_the_file(opened, padding, side):
    hooks = opened(padding=padding, padding_side=side)
    ids = hooks.tensors([hooks.check(text, "x") for text in ("good", "good film")])["input_ids"].tolist()
    assert ids[0] == ([PAD, CLS, GOOD, SEP] if side == "left" else [CLS, GOOD, SEP, PAD])
    assert hooks.pads_left is (side == "left")


def test_words_are_rows_of_a_task_that_asks_for_places(opened):
    hooks = opened(TextWithOffsets)
    text, words = hooks.check_all(["Adaline lives  in Paris", ["Adaline", "lives", "in", "Paris"]], range(2))
    assert text == words
    assert text.places()[1:3] == [(0, 3, 0), (3, 7, 0)]
    assert text.cut(7, 13) == " lives"
    assert words.places()[1:4] == [(0, 1, 0), (0, 1, 0), (1, 2, 1)]
    assert words.cut(0, 2) == "Adaline lives"
    assert text.places()[0] is text.places()[-1] is None
    assert hooks.origins([text]) == [text.places()]
    assert opened().origins([text]) is None


def test_places_are_of_the_first_text_of_a_pair(opened):
    row = opened(TextWithOffsets, pairs=True).check(["good", "film"], "x")
    assert row.places() == [None, (0, 4, 0), None, None, None]


@pytest.mark.parametrize("value", [[], ["good", ""], ["good", 3], [["good"]]])
def test_what_are_no_words_is_refused(opened, value):
    with pytest.raises(InvalidRow):
        opened(TextWithOffsets).check(value, "x")


def test_only_rows_of_one_length_run_together_where_padding_is_not_allowed(opened):
    hooks = opened(batch="equal")
    rows = [hooks.check(text, "x") for text in ("good", "good film", "film")]
    assert hooks.batch_keys(rows) == [3, 4, 3]
    assert opened().batch_keys(rows) is None


@pytest.mark.parametrize(
    ("required", "optional", "pairs", "tensors"),
    [
        (("input_ids", "attention_mask"), (), False, ALL[:2]),
        (("input_ids",), ("attention_mask", "token_type_ids", "position_ids"), False, ALL[:2]),
        (("input_ids",), ("attention_mask", "token_type_ids", "position_ids"), True, ALL[:3]),
        (("input_ids", "attention_mask", "token_type_ids"), (), False, ALL[:3]),
        (("input_ids", "position_ids"), (), False, (ALL[0], ALL[3])),
        (("tokens",), (), False, ALL[:1]),
        (("left", "right"), (), False, ()),
    ],
)
def test_a_models_inputs_decide_which_tensors_it_gets(required, optional, pairs, tensors):
    assert TextOptions(pairs=pairs).complete(required, optional).tensors == tensors


def test_tensors_that_the_definition_names_stay():
    assert TextOptions(tensors=ALL[:1]).complete(ALL[:2], ()).tensors == ALL[:1]


@pytest.mark.parametrize(("name", "value"), [("input_ids", 12), ("token_type_ids", 2), ("position_ids", 128)])
def test_tensors_of_clients_are_bounded(opened, name, value):
    hooks = opened()
    hooks.check_values({name: np.array([[value - 1]])})
    with pytest.raises(InvalidRow, match=f"outside 0 to {value - 1}"):
        hooks.check_values({name: np.array([[value]])})


@pytest.mark.parametrize("pairs", [False, True])
def test_random_rows_are_rows(opened, pairs):
    hooks, draws = opened(pairs=pairs), np.random.default_rng(3)
    for _ in range(20):
        hooks.check(hooks.sample(draws), "x")


def test_random_texts_fit_whatever_the_tokenizer_makes_of_tokens(opened, tmp_path):
    # Without a token for unknown words, a text with [PAD] in it is refused.
    words = Tokenizer(models.WordLevel({"good": 0, "film": 1, "[PAD]": 2}))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    hooks, draws = Texts(), np.random.default_rng(3)
    hooks.folder, hooks.signature = tmp_path, signature(TextOptions(max_tokens=512))
    hooks.prepare()
    for _ in range(50):
        assert {*hooks.check(hooks.sample(draws), "x")} <= {0, 1}
    assert opened(max_tokens=1).sample(draws) is None  # the special tokens alone are two


def test_a_plain_text_is_no_pair_and_the_reason_has_no_word_of_python(opened):
    with pytest.raises(InvalidRow, match="expected two texts, got raw bytes"):
        opened(pairs=True).check(bytearray(b"good"), "x")
