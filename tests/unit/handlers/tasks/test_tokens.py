"""Spans from the tags of tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inputs.text import TextInput, TextOptions
from onnxserve_handlers.outputs import FreeAxis, Outputs, with_sizes
from onnxserve_handlers.registry import task_for
from onnxserve_handlers.signature import Signature
from onnxserve_handlers.tasks.tokens import Tokens, TokensOptions, split_tag
from tests.helpers.tokenizer_files import save_tokenizer

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "S-LOC", "E-PER")


class Tagger(TextInput, Tokens, Handler):
    """Texts to spans."""


def options(**fields: Any) -> TokensOptions:
    return TokensOptions(**{"labels": LABELS, **fields})


def task_of(**fields: Any) -> Tokens:
    task = task_for(options(**fields))
    assert isinstance(task, Tokens)
    return task


def tagger(folder: Any, **fields: Any) -> Tagger:
    handler = Tagger()
    handler.folder = save_tokenizer(folder)
    handler.signature = Signature("demo", "1.0", "", "fp32", TextOptions(), options(**fields), (), (), 4)
    handler.prepare()
    return handler


def outputs_of(*rows: list[str], score: float = 0.9, labels: tuple[str, ...] = LABELS) -> Outputs:
    """Return logits whose best tags are these, each with about this score; shorter rows are padded."""
    width = max(map(len, rows))
    logits = np.zeros((len(rows), width, len(labels)), np.float32)
    top = np.log(score * (len(labels) - 1) / (1 - score))
    for row, tags in enumerate(rows):
        for token, tag in enumerate(tags):
            logits[row, token, labels.index(tag)] = top
    sizes = {"sequence": [len(row) for row in rows]}
    return with_sizes({"logits": logits}, [FreeAxis("logits", 1, "sequence")], sizes)


def spans_of(handler: Tagger, outputs: Outputs, row: Any) -> list[dict[str, Any]]:
    [prediction] = handler.predictions(outputs, [row])
    spans: list[dict[str, Any]] = prediction["spans"]
    return spans


def test_a_span_has_the_characters_of_the_request_and_its_tokens_mean_score(tmp_path):
    handler = tagger(tmp_path)
    row = handler.check("Adaline lives  in Paris.", "x")
    tags = ["O", "B-PER", "I-PER", "O", "O", "B-LOC", "O", "O"]
    assert spans_of(handler, outputs_of(tags), row) == [
        {"label": "PER", "start": 0, "end": 7, "text": "Adaline", "score": pytest.approx(0.9, abs=1e-5)},
        {"label": "LOC", "start": 18, "end": 23, "text": "Paris", "score": pytest.approx(0.9, abs=1e-5)},
    ]


@pytest.mark.parametrize("value", ["Adaline lives in Paris", ["Adaline", "lives", "in", "Paris"]])
def test_the_spans_of_proof_rows_are_those_of_requests_but_for_their_text(tmp_path, value):
    handler = tagger(tmp_path, aggregation="first")
    row = handler.check(value, "x")
    outputs = outputs_of(["B-PER"] * len(row))  # special tokens too, which no request's span has
    spans = spans_of(handler, outputs, row)
    proof = task_of(aggregation="first")
    [own] = proof.proof_predictions(outputs, handler.origins([row]))
    assert own["spans"] == [{name: field for name, field in span.items() if name != "text"} for span in spans]
    assert len(spans) == 4


def test_a_row_of_words_gets_spans_of_words(tmp_path):
    handler = tagger(tmp_path)
    row = handler.check(["Adaline", "lives", "in", "Paris"], "x")
    spans = spans_of(handler, outputs_of(["O", "B-PER", "I-PER", "O", "O", "S-LOC", "O"]), row)
    assert [(span["start"], span["end"], span["text"]) for span in spans] == [(0, 1, "Adaline"), (3, 4, "Paris")]


def test_shorter_rows_of_a_batch_have_no_spans_in_their_padding(tmp_path):
    handler = tagger(tmp_path)
    rows = [handler.check(text, "x") for text in ("Paris", "Adaline lives")]
    outputs = outputs_of(["O", "S-LOC", "O"], ["O", "B-PER", "I-PER", "O", "O"])
    first, second = handler.predictions(outputs, rows)
    assert [span["text"] for span in first["spans"]] == ["Paris"]
    assert [span["text"] for span in second["spans"]] == ["Adaline"]


def test_rows_that_came_as_tensors_get_spans_of_tokens():
    task = task_of()
    [prediction] = task.predictions(outputs_of(["O", "B-PER", "I-PER"]), None)
    [span] = prediction["spans"]
    assert (span["start"], span["end"], "text" in span) == (1, 3, False)


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        (["B-PER", "I-PER", "B-PER"], [("PER", 0, 2), ("PER", 2, 3)]),
        (["I-PER", "I-LOC"], [("PER", 0, 1), ("LOC", 1, 2)]),
        (["B-PER", "O", "I-PER"], [("PER", 0, 1), ("PER", 2, 3)]),
        (["S-LOC", "I-LOC"], [("LOC", 0, 1), ("LOC", 1, 2)]),
        (["B-PER", "E-PER", "I-PER"], [("PER", 0, 2), ("PER", 2, 3)]),
    ],
)
def test_prefixes_say_where_spans_begin_and_end(tags, spans):
    task = task_of()
    assert [span.key for span in task.spans(outputs_of(tags), 0)] == spans


def test_without_aggregation_each_tagged_token_is_a_span():
    task = task_of(aggregation="none")
    assert [span.key for span in task.spans(outputs_of(["B-PER", "I-PER", "O"]), 0)] == [
        ("B-PER", 0, 1),
        ("I-PER", 1, 2),
    ]


def two_tokens(first: float, second: float) -> Outputs:
    """Return scores of one word of two tokens: LOC with the first score, then PER with the second."""
    scores = np.zeros((1, 2, len(LABELS)), np.float32)
    scores[0, 0, LABELS.index("B-LOC")], scores[0, 1, LABELS.index("B-PER")] = first, second
    return Outputs(scores=scores)


@pytest.mark.parametrize(("aggregation", "label"), [("first", "LOC"), ("max", "PER")])
def test_a_word_has_one_tag(aggregation, label):
    task = task_of(aggregation=aggregation, activation="none")
    [span] = task.spans(two_tokens(0.6, 0.8), 0, [(0, 3, 0), (3, 7, 0)])
    assert (span.label, span.start, span.end) == (label, 0, 7)


def test_labels_without_prefixes_are_joined_as_they_are():
    labels = ("O", "time", "x-ray")
    task = task_of(labels=labels)
    outputs = outputs_of(["time", "time", "x-ray"], labels=labels)
    assert [span.key for span in task.spans(outputs, 0)] == [("time", 0, 2), ("x-ray", 2, 3)]
    assert (split_tag("B-x-ray"), split_tag("x-ray")) == (("B", "x-ray"), ("", "x-ray"))


@pytest.mark.parametrize(
    "label", [["B-PER", "I-PER", "O"], [{"label": "PER", "start": 0, "end": 2}, {"label": "LOC", "start": 2, "end": 3}]]
)
def test_a_rows_quality_is_the_f1_of_its_spans(label):
    task = task_of()
    quality = task.quality(outputs_of(["B-PER", "I-PER", "S-LOC"]), [label])
    expected = 2 / 3 if isinstance(label[0], str) else 1.0
    assert quality == pytest.approx([expected])
    assert task.label_fault(label) == ""
    assert task.unknown_labels(label) == []


def test_quality_compares_with_the_places_of_the_request():
    task = task_of()
    label = [{"label": "PER", "start": 4, "end": 11}]
    outputs = outputs_of(["O", "B-PER", "I-PER"])
    assert task.quality(outputs, [label], [[None, [4, 7, 1], [7, 11, 1]]]) == [1.0]
    assert task.quality(outputs, [label], [[None, [5, 7, 1], [7, 11, 1]]]) == [0.0]


@pytest.mark.parametrize("label", [3, "B-PER", [{"label": "PER"}], [3], [["PER", 1, 2]]])
def test_what_is_no_label_of_a_row_is_told(label):
    assert task_of().label_fault(label)


def test_labels_that_the_model_lacks_are_told():
    task = task_of()
    assert task.unknown_labels(["O", "B-ORG"]) == ["B-ORG"]
    assert task.unknown_labels([{"label": "ORG", "start": 1, "end": 2}]) == ["ORG"]


def test_agreement_is_one_for_the_source_itself_and_for_rows_without_spans():
    task = task_of()
    left, right = outputs_of(["B-PER", "O"], ["O", "O"]), outputs_of(["S-LOC", "O"], ["O", "O"])
    assert task.agreement(left, left).tolist() == [1.0, 1.0]
    assert task.agreement(left, right).tolist() == [0.0, 1.0]


def test_canary_and_drift_get_the_mean_score_the_first_label_and_the_number_of_spans():
    task = task_of()
    predictions = [{"spans": [{"label": "LOC", "score": 0.5}, {"label": "PER", "score": 0.7}]}, {"spans": []}]
    assert [task.score(prediction) for prediction in predictions] == [pytest.approx(0.6), 0.0]
    assert [task.label(prediction) for prediction in predictions] == ["LOC", None]
    assert (task.score({"error": {}}), task.label({"error": {}})) == (None, None)
    measures = task.prediction_measures(predictions)
    assert measures["spans"].tolist() == [2, 0]
    assert measures["score"] == pytest.approx([0.6, 0.0])


def test_outputs_of_another_form_are_told():
    task = task_of()
    assert task.outputs_fault(Outputs(first=np.zeros((3, 9, len(LABELS))))) == ""
    assert "(rows, tokens, 7) is expected" in task.outputs_fault(Outputs(first=np.zeros((3, len(LABELS)))))
