"""Rows run together where they may, and a row's outputs are the same alone and beside others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inference import group_by_key
from onnxserve_handlers.inputs.text import TextInput
from onnxserve_handlers.outputs import free_axes
from onnxserve_handlers.signature import Tensor
from onnxserve_handlers.tasks.raw import Raw, RawOptions
from tests.helpers.fakes import FakeSession, with_fake_session, word_tokenizer
from tests.helpers.inference import send

WORDS = ("good", "good film", "film film film", "film good film good")


class Tagger(TextInput, Raw, Handler):
    """Texts to the outputs of a graph."""


class Tags(FakeSession):
    """A graph that tags each token, gives a number a row, and finds as many boxes as the longest row has tokens."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names

    def run(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        ids = arrays["input_ids"].astype(np.float32)
        self.batches.append(len(ids))
        boxes = np.full((len(ids), ids.shape[1], 4), ids.shape[1], np.float32)
        every = {"tags": np.stack([ids, -ids - 1], axis=2), "sum": ids.sum(axis=1), "boxes": boxes}
        return {name: every[name] for name in self.names}


def tagger(folder, *names: str, padding: str = "right") -> Tagger:
    tokenizer = word_tokenizer()
    tokenizer.enable_padding(direction=padding)
    tokenizer.save(str(folder / "tokenizer.json"))
    handler = with_fake_session(Tagger(), max_tokens=8)
    shapes = {"tags": ("batch", "sequence", 2), "sum": ("batch",), "boxes": ("batch", "found", 4)}
    outputs = tuple(Tensor(name, "float32", shapes[name]) for name in names)
    axes = ("batch", "sequence")
    inputs = (Tensor("input_ids", "int64", axes), Tensor("attention_mask", "int64", axes))
    handler.signature = replace(handler.signature, output=RawOptions(), outputs=outputs, inputs=inputs)
    handler.output_axes = free_axes(outputs)
    handler.session, handler.folder = Tags(names), folder  # type: ignore[assignment]  # a fake
    handler.prepare()
    assert isinstance(handler, Tagger)
    return handler


def body(*texts: str) -> tuple[bytes, dict[str, str]]:
    return json.dumps({"instances": list(texts)}).encode(), {"content-type": "application/json"}


def predicted(answers: list[Any]) -> list[Any]:
    assert [status for status, _, _ in answers] == [200] * len(answers)
    return [json.loads(answer)["predictions"] for _, _, answer in answers]


@pytest.mark.parametrize("padding", ["right", "left"])
@pytest.mark.parametrize("names", [("tags",), ("tags", "sum"), ("boxes", "tags")])
def test_a_rows_answer_is_the_same_alone_beside_others_and_in_one_request(tmp_path, names, padding):
    handler = tagger(tmp_path, *names, padding=padding)
    alone = [predicted(send(handler, body(text)))[0] for text in WORDS]
    assert predicted(send(handler, *map(body, WORDS))) == alone
    assert predicted(send(handler, body(*WORDS)))[0] == [row for rows in alone for row in rows]
    if "tags" in names:
        assert [len(rows[0]["outputs"]["tags"]) for rows in alone] == [1, 2, 3, 4]


def test_rows_whose_size_only_the_graph_knows_run_alone(tmp_path):
    handler = tagger(tmp_path, "boxes")
    predicted(send(handler, *map(body, WORDS)))
    assert handler.session.batches == [1] * len(WORDS)  # type: ignore[attr-defined]  # a fake


def test_tensors_of_v2_keep_the_places_of_their_request_and_have_zeros_for_its_padding(tmp_path):
    handler = tagger(tmp_path, "tags")
    ids = {"name": "input_ids", "datatype": "INT64", "shape": [3, 3], "data": [[3, 3, 0], [0, 0, 3], [3, 0, 3]]}
    mask = {**ids, "name": "attention_mask", "data": [[1, 1, 0], [0, 0, 1], [1, 0, 1]]}
    v2 = json.dumps({"inputs": [ids, mask]}).encode()
    answers = send(handler, (v2, {"content-type": "application/json"}), body(WORDS[3]))
    [output] = json.loads(answers[0][2])["outputs"]
    own, none = [3, -4], [0, 0]
    places = [own, own, none, none, none, own, own, none, own]
    assert (output["shape"], output["data"]) == ([3, 3, 2], [number for place in places for number in place])
    assert len(predicted(answers[1:])[0][0]["outputs"]["tags"]) == 4


def test_rows_reach_the_task_beside_a_request_of_tensors(tmp_path, monkeypatch):
    handler, seen = tagger(tmp_path, "sum"), list[Any]()

    def predictions(_: Any, outputs: Any, rows: Any) -> list[int]:
        seen.append(rows)
        return [0] * len(outputs["sum"])

    monkeypatch.setattr(Tagger, "predictions", predictions)
    ids = {"name": "input_ids", "datatype": "INT64", "shape": [1, 1], "data": [[3]]}
    mask = {**ids, "name": "attention_mask", "data": [[1]]}
    v2 = json.dumps({"inputs": [ids, mask]}).encode()
    send(handler, (v2, {"content-type": "application/json"}), body("good"), body("film good"))
    assert seen == [[[2], [3, 2]], None]


def test_groups_hold_rows_of_one_key_and_no_more_than_the_largest_batch():
    assert group_by_key(["a", "b", "a", "a"], 2) == [[0, 2], [3], [1]]
