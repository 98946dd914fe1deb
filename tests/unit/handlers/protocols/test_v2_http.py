"""Open Inference Protocol V2, JSON and binary, and .npy files."""

import json
import struct

import numpy as np
import pytest

from tests.helpers.fakes import POISON
from tests.helpers.inference import HEADER, JSON, features, infer, send


def test_json_tensors_give_every_output_with_label_and_score(table):
    status, answer = infer(table, {"id": "7", "inputs": [features([[1, 2], [3, 4]])]})
    assert status == 200
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("demo", "1.0", "7")
    first, label, score = answer["outputs"]
    assert first == {"name": "output_0", "datatype": "FP32", "shape": [2, 2], "data": [0, 1, 0, 3]}
    assert label == {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["yes", "yes"]}
    assert score["data"] == pytest.approx([0.731059, 0.952574], abs=1e-6)


def test_flat_and_nested_data_are_the_same(table):
    nested = infer(table, {"inputs": [features([[1, 2]])]})
    flat = infer(table, {"inputs": [{"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]})
    assert nested == flat


def test_only_the_outputs_asked_for_are_given(table):
    _, answer = infer(table, {"inputs": [features([[1, 2]])], "outputs": [{"name": "label"}]})
    assert [output["name"] for output in answer["outputs"]] == ["label"]


def test_an_output_may_be_ranked_by_labels(table):
    requested = [{"name": "output_0", "parameters": {"classification": 1}}]
    _, answer = infer(table, {"inputs": [features([[1, 2], [-3, 4]])], "outputs": requested})
    [output] = answer["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [2, 1])
    assert output["data"] == ["1:1:yes", "0:0:no"]


@pytest.mark.parametrize(
    "output", [{"name": "label"}, {"name": "output_0", "count": 0}, {"name": "output_0", "count": "2"}]
)
def test_an_output_that_can_not_be_ranked_is_422(table, output):
    requested = {"name": output["name"], "parameters": {"classification": output.get("count", 1)}}
    status, answer = infer(table, {"inputs": [features([[1, 2]])], "outputs": [requested]})
    assert status == 422
    assert "can't be ranked" in answer["error"]


def test_binary_tensors_go_in_and_out(table):
    rows = np.array([[1, 2], [5, 6]], "<f4")
    tensor = {"name": "features", "shape": [2, 2], "datatype": "FP32", "parameters": {"binary_data_size": 16}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    [(status, headers, body)] = send(table, (head + rows.tobytes(), {HEADER.lower(): str(len(head))}))
    assert status == 200
    size = int(headers[HEADER])
    outputs = json.loads(body[:size])["outputs"]
    assert [output["parameters"]["binary_data_size"] for output in outputs] == [16, 2 * (4 + 3), 8]
    np.testing.assert_array_equal(np.frombuffer(body[size : size + 16], "<f4"), [0, 1, 0, 5])
    assert body[size + 16 :].startswith(struct.pack("<I", 3) + b"yes")
    assert len(body) == size + 16 + 14 + 8


def test_one_output_may_be_binary_and_another_json(table):
    requested = [{"name": "output_0", "parameters": {"binary_data": True}}, {"name": "label"}]
    [(_, headers, body)] = send(
        table, (json.dumps({"inputs": [features([[1, 2]])], "outputs": requested}).encode(), {"content-type": JSON})
    )
    outputs = json.loads(body[: int(headers[HEADER])])["outputs"]
    assert outputs[0]["parameters"] == {"binary_data_size": 8}
    assert outputs[1]["data"] == ["yes"]


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"datatype": "BOOL", "data": [True, False]}, 422, "bool, float32 is expected"),
        ({"datatype": "FP64", "data": [1e39, 1]}, 422, "not finite"),
        ({"shape": [0, 2**62, 4], "data": []}, 422, "0 elements don't make shape"),
        ({"shape": [0, 2], "data": []}, 422, "0 elements don't make shape"),
        ({"shape": [2**70, 2]}, 422, "2 elements don't make shape"),
        ({"shape": [1] * 40 + [2]}, 422, "2 elements don't make shape"),
        ({"shape": [True, 2]}, 400, "not an inference request"),
        ({"parameters": {"binary_data_size": True}}, 400, "binary_data_size is True"),
        ({"datatype": "FP31"}, 422, "datatype 'FP31'"),
        ({"name": "rows"}, 422, "inputs ['rows'], expected ['features']"),
        ({"shape": [1, 3]}, 422, "2 elements don't make shape [1, 3]"),
        ({"shape": [2]}, 422, "shape (2,), expected ('batch', 2)"),
        ({"shape": [-1, -2]}, 422, "don't make shape"),
        ({"data": [[1], [1, 2]]}, 422, "not rectangular"),
        ({"data": ["a", "b"]}, 422, "data are not FP32"),
        ({"data": [True, False]}, 422, "data are not FP32"),
        ({"data": ["x" * 10_000, *[""] * 10_000]}, 422, "data are not FP32"),  # an array of texts would have 400 MB
        ({"data": [1e39, 1]}, 422, "not finite"),
        ({"data": None}, 422, "data are not FP32"),
        ({"parameters": {"binary_data_size": 8}}, 400, "binary_data_size is 8, but 0 bytes are left"),
        ({"shape": "x"}, 400, "not an inference request"),
        ({"shape": [7, 2], "data": [0] * 14}, 413, "7 rows, at most 6"),
    ],
)
def test_a_tensor_outside_the_signature_is_refused_in_one_line(table, change, status, words):
    answer_status, answer = infer(table, {"id": "7", "inputs": [features([[1, 2]]) | change]})
    assert answer_status == status
    assert words in answer["error"]
    assert set(answer) - {"id"} == {"error", "model_name", "model_version"}


def test_an_unknown_output_is_refused_before_anything_runs(table):
    status, answer = infer(table, {"inputs": [features([[1, 2]])], "outputs": [{"name": "x"}]})
    assert (status, table.session.batches) == (422, [])
    assert "ask for output_0, label, score" in answer["error"]


@pytest.mark.parametrize("inputs", [[], [features([[1, 2]]), features([[3, 4]])], {}, None, "x", [3]])
def test_no_input_or_one_twice_is_400(table, inputs):
    status, answer = infer(table, {"inputs": inputs})
    assert (status, "inputs" in answer["error"]) == (400, True)


@pytest.mark.parametrize("value", ["x", "-1", "99999"])
def test_a_wrong_header_length_is_400(table, value):
    [(status, _, _)] = send(table, (b"{}", {HEADER: value}))
    assert status == 400


def test_bytes_that_belong_to_no_input_are_400(table):
    head = json.dumps({"inputs": [features([[1, 2]])]}).encode()
    [(status, _, body)] = send(table, (head + b"rest", {HEADER: str(len(head))}))
    assert (status, b"4 bytes belong to no input" in body) == (400, True)


def test_tensors_and_ordinary_rows_share_a_batch_and_a_poisoned_one_fails_alone(table):
    plain = (b"[3, 4]", {"content-type": JSON})
    good = (json.dumps({"inputs": [features([[1, 2]])]}).encode(), {"content-type": JSON})
    bad = (json.dumps({"inputs": [features([[POISON, 2]])]}).encode(), {"content-type": JSON})
    answers = send(table, plain, good, bad, plain)
    assert [status for status, _, _ in answers] == [200, 200, 500, 200]
    assert answers[0][2] == answers[3][2]
    assert b"secret" not in answers[2][2]


def test_texts_come_as_bytes_in_json_and_binary(text):
    document = {"inputs": [{"name": "text", "shape": [2], "datatype": "BYTES", "data": ["good", "good film"]}]}
    status, answer = infer(text, document)
    assert (status, answer["outputs"][0]["shape"]) == (200, [2, 2])
    blob = struct.pack("<I", 4) + b"good" + struct.pack("<I", 9) + b"good film"
    tensor = {"name": "text", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(blob)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    [(_, _, body)] = send(text, (head + blob, {HEADER: str(len(head))}))
    assert json.loads(body) == answer


def ids(rows, mask=None):
    ones = mask or [[1] * len(row) for row in rows]
    shape = [len(rows), len(rows[0])]
    return [
        {"name": "input_ids", "shape": shape, "datatype": "INT64", "data": rows},
        {"name": "attention_mask", "shape": [len(ones), len(ones[0])], "datatype": "INT64", "data": ones},
    ]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (ids([[2, 99]]), "input_ids: the input has values outside 0 to 3"),
        (ids([[2, 3]], [[1, 2]]), "attention_mask: the input has values outside 0 to 1"),
        (ids([[2, 3], [2, 3]], [[1, 1], [0, 0]]), "attention_mask: a row has only zeros"),
        (ids([[2, 3, 2, 3, 2]]), "axis 'sequence' is 5 long, at most 4"),
        (ids([[2, 3]], [[1]]), "shape (1, 1)"),
        ([{"name": "words", "shape": [1], "datatype": "BYTES", "data": ["x"]}], "name it 'text'"),
        ([*ids([[2]]), {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["x"]}], "BYTES can't be beside"),
        ([{"name": "text", "shape": [1], "datatype": "BYTES", "data": [3]}], "flat list of strings"),
    ],
)
def test_token_tensors_stay_inside_the_vocabulary_and_the_length(text, inputs, words):
    status, answer = infer(text, {"inputs": inputs})
    assert status == 422
    assert words in answer["error"]


def test_numbers_that_tensors_hold_are_cast_and_others_refused(text):
    as_int32 = [tensor | {"datatype": "INT32"} for tensor in ids([[2, 3]])]
    assert infer(text, {"inputs": as_int32}) == infer(text, {"inputs": ids([[2, 3]])})
    as_floats = [tensor | {"datatype": "FP32"} for tensor in ids([[2, 3]])]
    status, answer = infer(text, {"inputs": as_floats})
    assert (status, "float32, int64 is expected" in answer["error"]) == (422, True)
    too_large = ids([[2**63, 2]])
    status, answer = infer(text, {"inputs": [too_large[0] | {"datatype": "UINT64"}, too_large[1]]})
    assert (status, "don't fit in int64" in answer["error"]) == (422, True)


@pytest.mark.parametrize("body", [b"no JSON", b"[1]", b'{"instances": [[1, "x"]]}', b'{"instances": [[666, 1]]}'])
def test_on_the_protocols_paths_every_error_is_a_line_of_text(table, body):
    on_v2 = (body, {"content-type": JSON, "x-onnxserve-protocol": "v2"})
    [(status, headers, answer), (_, _, elsewhere)] = send(table, on_v2, (body, {"content-type": JSON}))
    error = json.loads(answer)["error"]
    assert status >= 400
    assert error.startswith(headers["x-onnxserve-error"] + ": ")
    assert isinstance(json.loads(elsewhere)["error"], dict)


def test_rows_on_the_protocols_paths_are_answered_as_everywhere(table):
    body = b'{"instances": [[1, 2]]}'
    answers = [
        send(table, (body, {"content-type": JSON, **more}))[0][2] for more in ({}, {"x-onnxserve-protocol": "v2"})
    ]
    assert answers[0] == answers[1]
