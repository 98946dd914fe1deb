"""A row gets the same answer in every protocol that can hold it, and wherever a client pads its tensors."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import msgspec
import numpy as np
import pytest

from onnxserve_handlers.handler import Handler
from onnxserve_handlers.protocols.body import PROTOCOL
from tests.helpers.inference import send
from tests.helpers.protocol_requests import (
    Request,
    answer_of,
    binary_request,
    grpc_request,
    json_request,
    requests_of,
    tensors_of_row,
    v2_document,
)
from tests.helpers.task_models import MODELS, PADDED

POOLINGS = ("mean", "cls", "last")


@pytest.fixture(scope="module")
def handlers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Handler]:
    return {task: model.handler(tmp_path_factory.mktemp("handlers") / task) for task, model in MODELS.items()}


def answers(handler: Handler, requests: dict[str, Any]) -> dict[str, Any]:
    """Return each request's answer, all asked in one batch."""
    sent = send(handler, *requests.values())
    for name, (status, _, body) in zip(requests, sent, strict=True):
        assert status == 200, (name, body)
    return {name: answer_of(headers, body) for name, (_, headers, body) in zip(requests, sent, strict=True)}


def same(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    return bool(np.array_equal(left, right))


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("task", MODELS)
def test_a_row_gets_one_answer_in_every_protocol(handlers, task, number):
    handler, row = handlers[task], MODELS[task].rows[number]
    by_name = answers(handler, requests_of(handler, row))
    predictions = {name: answer for name, answer in by_name.items() if isinstance(answer, list)}
    tensors = {name: answer for name, answer in by_name.items() if isinstance(answer, dict)}
    assert len(predictions) >= 3
    assert len(tensors) >= 3
    [prediction] = predictions["instances"]
    assert [name for name, other in predictions.items() if other != [prediction]] == []
    first = tensors["v2 tensors"]
    assert [name for name, other in tensors.items() if not same(other, first)] == []
    outputs = handler.infer([handler.check(row, "row")])
    assert same({name: array.astype(np.float64) for name, array in outputs.items()}, {n: first[n] for n in outputs})
    assert set(first) == {*outputs, *handler.signature.output.tensors}
    for field in handler.signature.output.tensors:
        [value] = first[field]
        assert value == prediction[field] if field == "label" else np.allclose(value, prediction[field], rtol=1e-6)
    if "npy both ways" in by_name:
        np.testing.assert_array_equal(by_name["npy both ways"], next(iter(outputs.values())))


def test_the_widely_used_form_of_embeddings_gives_the_same_vectors(handlers):
    handler, rows = handlers["embedding"], list(MODELS["embedding"].rows)
    plain = answers(handler, {"plain": json_request({"instances": rows})})["plain"]
    [(_, _, body)] = send(handler, json_request({"input": rows}, **{PROTOCOL: "embeddings"}))
    assert [entry["embedding"] for entry in json.loads(body)["data"]] == [row["embedding"] for row in plain]


def test_a_rerank_gives_the_same_scores(handlers):
    handler, rows = handlers["rerank"], MODELS["rerank"].rows
    plain = answers(handler, {"plain": json_request({"instances": rows})})["plain"]
    document = {"query": rows[0][0], "documents": [passage for _, passage in rows]}
    [(_, _, body)] = send(handler, json_request(document, **{PROTOCOL: "rerank"}))
    scores = {entry["index"]: entry["relevance_score"] for entry in json.loads(body)["results"]}
    assert [scores[index] for index in range(len(rows))] == [row["score"] for row in plain]


def in_each_form(handler: Handler, task: str, outputs: list[Any], **parameters: Any) -> dict[str, Request]:
    """Return requests of V2 for one row with the same parameters, of the outputs too."""
    arrays = tensors_of_row(handler, MODELS[task].rows[0])
    document = v2_document(arrays, outputs=outputs, parameters=parameters)
    binary = binary_request(arrays, outputs=outputs, parameters=parameters)
    return {"json": json_request(document), "binary": binary, "grpc": grpc_request(arrays, outputs, **parameters)}


CUT, RANKED = [{"name": "embedding"}], [{"name": "logits", "parameters": {"classification": 2}}]
PARAMETERS: dict[str, tuple[str, list[Any], dict[str, Any]]] = {
    "a cut vector": ("embedding", CUT, {"dimensions": 2}),
    "a cut vector as a double": ("embedding", CUT, {"dimensions": 2.0}),
    "ranked labels": ("classification", RANKED, {}),
    "parameters of others": ("embedding", CUT, {"priority": 3, "sequence_id": "a", "ratio": 0.5, "none": None}),
    "parameters of others beside ours": ("embedding", CUT, {"priority": 3, "dimensions": 2}),
    "scores that have no tensor": ("classification", [], {"top_k": 0}),
    "elements in JSON": ("classification", [{"name": "logits", "parameters": {"binary_data": False}}], {}),
    "all elements binary": ("classification", [], {"binary_data_output": True}),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_of_v2_means_the_same_in_every_form(handlers, name):
    task, outputs, parameters = PARAMETERS[name]
    by_form = answers(handlers[task], in_each_form(handlers[task], task, outputs, **parameters))
    first = by_form["json"]
    assert [form for form, answer in by_form.items() if not same(first, answer)] == []
    if "dimensions" in parameters:
        assert first["embedding"].shape == (1, 2)
    if outputs is RANKED:
        assert [text.split(":")[1:] for text in first["logits"]] == [["0", "late"], ["1", "rude"]]


LOGITS = "outputs.logits.classification"
BAD_PARAMETERS: dict[str, tuple[str, list[Any], dict[str, Any], str]] = {
    "a length that isn't allowed": ("embedding", CUT, {"dimensions": 3}, "parameters.dimensions"),
    "a length as a text": ("embedding", CUT, {"dimensions": "2"}, "parameters.dimensions"),
    "a length without a value": ("embedding", CUT, {"dimensions": None}, "parameters.dimensions"),
    "labels below 0": ("classification", [], {"top_k": -1}, "parameters.top_k"),
    "labels as true": ("classification", [], {"top_k": True}, "parameters.top_k"),
    "half a label": ("classification", [], {"top_k": 0.5}, "parameters.top_k"),
    "no ranked label": (
        "classification", [{"name": "logits", "parameters": {"classification": 0}}], {}, LOGITS,
    ),
    "ranked texts": (
        "classification", [{"name": "label", "parameters": {"classification": 1}}], {}, "outputs.label.classification",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_PARAMETERS)
def test_a_bad_parameter_of_v2_is_refused_alike_in_every_form(handlers, name):
    task, outputs, parameters, where = BAD_PARAMETERS[name]
    requests = in_each_form(handlers[task], task, outputs, **parameters)
    sent = dict(zip(requests, send(handlers[task], *requests.values()), strict=True))
    assert {form: headers["x-onnxserve-error"] for form, (_, headers, _) in sent.items()} == dict.fromkeys(
        requests, "invalid_row"
    )
    lines = {json.loads(sent[form][2])["error"] for form in ("json", "binary")}
    lines.add(unquote(sent["grpc"][1]["x-grpc-message"]))
    [line] = lines
    assert line.startswith(f"invalid_row: {where}: ")
    assert [sent["json"][0], sent["binary"][0], sent["grpc"][1]["x-grpc-status"]] == [422, 422, "3"]


def padded(arrays: dict[str, np.ndarray], places: list[int], width: int) -> dict[str, np.ndarray]:
    """Return one row's tensors with its tokens at these places of a longer row."""
    wide = {name: np.zeros((1, width), np.int64) for name in arrays}
    for name, array in arrays.items():
        wide[name][0, places] = array[0]
    return wide


@pytest.mark.parametrize("places", [[0, 1], [3, 4], [1, 2], [0, 3]], ids=["right", "left", "both", "gap"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_is_pooled_on_no_side(tmp_path, pooling, places):
    folder = tmp_path / "model"
    handler = MODELS["embedding"].handler(folder)
    handler.signature = with_pooling(handler, pooling)
    row = "fresh bread"
    [expected] = answers(handler, {"plain": json_request(row)})["plain"]
    own = tensors_of_row(handler, row)
    beside = tensors_of_row(handler, "kind the late bread fresh")
    rows = {name: np.concatenate([padded(own, places, 5)[name], beside[name]]) for name in own}
    request = json_request(v2_document(rows, parameters={"dimensions": 2}))
    cut, whole = (answers(handler, {"v2": sent})["v2"] for sent in (request, json_request(v2_document(rows))))
    np.testing.assert_allclose(whole["embedding"][0], expected["embedding"], rtol=1e-6)
    short = np.array(expected["embedding"][:2])
    np.testing.assert_allclose(cut["embedding"][0], short / np.linalg.norm(short), rtol=1e-6)
    assert whole["logits"].shape == (2, 5, 4)
    empty = [place for place in range(5) if place not in places]
    assert not whole["logits"][0, empty].any()
    assert whole["logits"][0, places].tolist() == handler.infer([handler.check(row, "row")])["logits"][0].tolist()


def with_pooling(handler: Handler, pooling: str) -> Any:
    return replace(handler.signature, output=msgspec.structs.replace(handler.signature.output, pooling=pooling))


def test_the_graph_of_these_tests_gives_padding_other_numbers(handlers):
    """Else no test above could fail."""
    handler = handlers["embedding"]
    raw = handler.session.run(padded(tensors_of_row(handler, "kind"), [1], 2))
    assert raw["logits"][0, 0].tolist() == [PADDED] * 4


@pytest.mark.parametrize("places", [[2], [0], [1]])
def test_spans_of_tensors_count_a_rows_own_tokens(handlers, places):
    handler = handlers["tokens"]
    tensors = padded(tensors_of_row(handler, "Ann"), places, 3)
    outputs = handler.infer_tensors(tensors).own()
    [prediction] = handler.predictions(outputs, None)
    assert [(span["label"], span["start"], span["end"]) for span in prediction["spans"]] == [("PER", 0, 1)]
