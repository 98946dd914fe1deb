"""Requests that bring tensors: those of the same sizes run together, and each gets its own rows' outputs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from onnxserve_handlers.outputs import free_axes
from onnxserve_handlers.signature import Tensor
from tests.helpers.fakes import POISON
from tests.helpers.inference import JSON, features, send, table_handler, text_handler


def bodies(*inputs: list[dict[str, Any]]) -> list[tuple[bytes, dict[str, str]]]:
    return [(json.dumps({"inputs": tensors}).encode(), {"content-type": JSON}) for tensors in inputs]


def logits(answers: list[Any]) -> list[list[float]]:
    """The first output's second column, for each request."""
    return [json.loads(body)["outputs"][0]["data"][1::2] for _, _, body in answers]


def tokens(*ids: int) -> list[dict[str, Any]]:
    shape = {"shape": [1, len(ids)], "datatype": "INT64"}
    ones = [1] * len(ids)
    return [{"name": "input_ids", "data": list(ids), **shape}, {"name": "attention_mask", "data": ones, **shape}]


@pytest.fixture
def table():
    return table_handler()


def test_requests_of_the_same_sizes_run_once_and_get_their_own_rows(table):
    rows = ([[1, 2]], [[3, 4], [5, 6]], [[7, 8]])
    answers = send(table, *bodies(*([features(part)] for part in rows)))
    assert [status for status, _, _ in answers] == [200] * 3
    assert logits(answers) == [[1], [3, 5], [7]]
    assert table.session.batches == [4]


def test_more_rows_than_were_proven_run_in_several_batches(table):
    answers = send(table, *bodies(*([features([[number, 0]])] for number in range(6))))
    assert logits(answers) == [[number] for number in range(6)]
    assert table.session.batches == [4, 2]


def test_a_request_of_more_rows_than_were_proven_is_joined_with_none(table):
    answers = send(table, *bodies([features([[1, 0]])], [features([[2, 0]] * 5)], [features([[3, 0]])]))
    assert logits(answers) == [[1], [2] * 5, [3]]
    assert table.session.batches == [1, 1, 1, 1]


def test_rows_and_tensors_of_one_batch_keep_their_order(table):
    plain = json.dumps({"instances": [[9, 9]]}).encode(), {"content-type": JSON}
    first, second, third = send(table, *bodies([features([[1, 2]])]), plain, *bodies([features([[3, 4]])]))
    assert logits([first, third]) == [[1], [3]]
    assert json.loads(second[2])["predictions"][0]["label"] == "yes"
    assert table.session.batches == [1, 2]


def test_a_request_that_breaks_its_batch_fails_alone(table):
    answers = send(table, *bodies([features([[1, 2]])], [features([[POISON, 0]])], [features([[3, 4]])]))
    assert [status for status, _, _ in answers] == [200, 500, 200]
    assert logits([answers[0], answers[2]]) == [[1], [3]]


def test_tensors_of_other_sizes_run_apart(tmp_path):
    handler = text_handler(tmp_path)
    answers = send(handler, *bodies(tokens(2, 3), tokens(3), tokens(3, 2)))
    assert logits(answers) == [[2], [3], [3]]
    assert sorted(handler.session.batches) == [1, 2]


def test_where_outputs_have_sizes_of_their_own_each_request_runs_by_itself(tmp_path):
    handler = text_handler(tmp_path)
    outputs = (Tensor("output_0", "float32", ("batch", "boxes")),)
    handler.signature = replace(handler.signature, outputs=outputs)
    handler.output_axes = free_axes(outputs)
    answers = send(handler, *bodies(tokens(2, 3), tokens(3, 2)))
    assert [status for status, _, _ in answers] == [200, 200]
    assert handler.session.batches == [1, 1]
