"""Answers come back from an archive's process as plain data, never as a pickle that could run code."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from onnxserve.batch.chunk import Fault
from onnxserve.batch.scorer import Answers
from onnxserve.batch.scoring_messages import Failure, LoadedArchive, decode_reply, encode_answers


class Own(msgspec.Struct):
    score: float


def returned(answers: Answers, *, outputs: bool = True) -> Answers:
    """Answers as they come back from the process."""
    again = decode_reply(encode_answers(answers, outputs=outputs))
    assert isinstance(again, Answers)
    return again


def test_answers_come_back_as_they_were(tmp_path):
    kept, outputs = np.array([0, 2], np.intp), np.array([[1.5, np.nan], [2, 3]], np.float32)
    predictions = [{"values": [1.0]}, Own(0.5)]
    answers = Answers(kept, None, np.array([0.5, np.nan]), predictions, outputs, {1: Fault("invalid", "why", "x")})
    again = returned(answers)
    np.testing.assert_array_equal(again.kept, kept)
    np.testing.assert_array_equal(again.score, answers.score)
    np.testing.assert_array_equal(again.outputs, outputs)
    assert again.outputs is not None
    assert again.outputs.dtype == np.float32
    assert (again.label, again.faults) == (None, answers.faults)
    assert again.predictions == [{"values": [1.0]}, msgspec.Raw(b'{"score":0.5}')]


def test_outputs_are_sent_only_where_they_are_asked_for_and_texts_can_be():
    texts = np.array([["a"], ["longer"]], object)
    answers = Answers(np.arange(2), np.array([1, 0]), None, None, texts, {})
    assert returned(answers, outputs=False).outputs is None
    np.testing.assert_array_equal(returned(answers).outputs, [["a"], ["longer"]])
    empty = Answers(np.arange(0), None, None, None, np.empty((0, 3), np.float32), {})
    np.testing.assert_array_equal(returned(empty).outputs, empty.outputs)


def test_other_messages_keep_their_kind():
    for message in (LoadedArchive("labels", 0.25), Failure("what", "where", "fix")):
        assert decode_reply(msgspec.msgpack.encode(message)) == message


class Hostile:
    """An object whose pickle makes a folder where it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("kind", ["pickle", "extension", "object array"])
def test_what_is_no_answer_is_refused_and_runs_nothing(tmp_path, kind):
    array = {"dtype": "|O", "shape": [1], "data": b"12345678"}
    document = {"type": "Scored", "kept": array, "label": None, "score": None, "predictions": None, "outputs": None}
    message = {
        "pickle": pickle.dumps(Hostile(tmp_path / "made")),
        "extension": msgspec.msgpack.encode(document | {"predictions": [msgspec.msgpack.Ext(7, b"x")], "faults": {}}),
        "object array": msgspec.msgpack.encode(document | {"faults": {}}),
    }[kind]
    with pytest.raises((msgspec.DecodeError, ValueError, TypeError)):
        decode_reply(message)
    assert not (tmp_path / "made").exists()
