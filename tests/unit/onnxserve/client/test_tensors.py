"""Tensors in, predictions or tensors out, by V2's binary form."""

from __future__ import annotations

import numpy as np
import pytest

from onnxserve import RequestFailed
from tests.helpers.handler_transport import HandlerTransport, client_of, labels
from tests.helpers.inference import table_handler

MAX_ROWS = 6  # of the handler
ROWS = [[number - 4.5, 0] for number in range(10)]
LABELS = ["no"] * 5 + ["yes"] * 5


@pytest.fixture
def server() -> HandlerTransport:
    return HandlerTransport(table_handler())


def test_tensors_of_one_input_are_rows_too(server):
    model = client_of(server, rows_per_request=MAX_ROWS).model("demo")
    assert labels(model.predict(np.array(ROWS, np.float32))) == LABELS
    paths = [request.url.path for request in server.requests]
    assert paths == ["/v2/models/demo", *["/v2/models/demo/infer"] * 2]
    assert server.requests[1].headers["content-type"] == "application/octet-stream"
    columns = {"a": np.array([1.0, -1.0]), "b": np.array([0, 0])}
    assert labels(model.predict(columns)) == ["yes", "no"]


def test_outputs_are_joined_and_chosen(server):
    client = client_of(server, rows_per_request=4)
    outputs = client.infer("demo", {"features": np.array(ROWS, np.float32)})
    assert outputs["output_0"].tolist() == [[0, row[0]] for row in ROWS]
    assert outputs["label"].tolist() == LABELS
    assert outputs["score"].dtype == np.float32
    assert list(client.infer("demo", {"features": np.zeros((1, 2))}, ["label"])) == ["label"]
    with pytest.raises(RequestFailed, match="has no outputs"):
        client.infer("demo", {"features": np.zeros((1, 2))}, ["nothing"])
    with pytest.raises(ValueError, match="one element a row"):
        client.infer("demo", {"features": np.zeros((1, 2)), "more": np.zeros((2, 2))})


def test_tensors_of_a_wrong_shape_fail_the_call_and_are_not_taken_apart(server):
    with pytest.raises(RequestFailed, match="422 invalid_row"):
        client_of(server).predict("demo", {"features": np.zeros((5, 3), np.float32)})
    assert len(server.requests) == 1


@pytest.mark.parametrize("array", [np.array(["a", 5], np.object_), np.array([1.5, 2.5], np.object_)])
def test_numbers_among_texts_are_not_sent_as_zeros(server, array):
    with pytest.raises(TypeError, match=r"holds texts or bytes, got (int|float)"):
        client_of(server).infer("demo", {"features": array})
    assert server.requests == []
