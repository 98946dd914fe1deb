"""V2 over gRPC in the handlers: messages as protobuf's own library writes them in JSON."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from handlers.datatypes import NAMES
from handlers.rpc import read_call
from tests.messages import as_json, kind, made
from tests.unit.test_protocol import send, table

__all__ = ["table"]
MEDIA = {"content-type": "application/x-protobuf+json"}
TYPED = {
    "BOOL": "bool",
    "INT8": "int",
    "INT32": "int",
    "INT64": "int64",
    "UINT16": "uint",
    "UINT64": "uint64",
    "FP32": "fp32",
    "FP64": "fp64",
}


def raw(array: Any) -> str:
    return base64.b64encode(array.tobytes()).decode()


def tensor(name: str, kind_: str, shape: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": kind_, "shape": list(shape), **more}


def read(**fields: Any) -> Any:
    return read_call(as_json(made("ModelInferRequest", **fields)))


@given(st.data(), st.sampled_from(sorted(NAMES)))
def test_raw_elements_of_every_type_are_read_as_they_were(data, name):
    array = data.draw(arrays.arrays(NAMES[name], arrays.array_shapes(max_dims=3, max_side=4)))
    _, values = read(inputs=[tensor("x", name, array.shape)], raw_input_contents=[raw(array)])
    np.testing.assert_array_equal(values["x"], array)
    assert values["x"].dtype == array.dtype


@given(st.data(), st.sampled_from(sorted(TYPED)))
def test_typed_elements_are_read_as_they_were(data, name):
    array = data.draw(arrays.arrays(NAMES[name], arrays.array_shapes(max_dims=2, max_side=4)))
    message = made("ModelInferRequest", inputs=[tensor("x", name, array.shape)])
    getattr(message.inputs[0].contents, f"{TYPED[name]}_contents").extend(array.reshape(-1).tolist())
    _, values = read_call(as_json(message))
    np.testing.assert_array_equal(values["x"], array)
    assert values["x"].dtype == array.dtype


@pytest.mark.parametrize("typed", [False, True])
def test_texts_are_bytes_either_way(typed):
    texts = [b"", "ü".encode(), b"\xff\x00"]
    given_ = tensor("text", "BYTES", [3])
    packed = b"".join(len(one).to_bytes(4, "little") + one for one in texts)
    if typed:
        given_["contents"] = {"bytes_contents": [base64.b64encode(one).decode() for one in texts]}
        _, values = read(inputs=[given_])
    else:
        _, values = read(inputs=[given_], raw_input_contents=[base64.b64encode(packed).decode()])
    assert values == {"text": texts}


def test_an_answer_is_the_protocols_message(table):
    rows = np.array([[1, 2], [3, 4]], np.float32)
    asked = made(
        "ModelInferRequest", id="7", inputs=[tensor("features", "FP32", [2, 2])], raw_input_contents=[raw(rows)]
    )
    [(status, _, body)] = send(table, (as_json(asked), MEDIA))
    answer = json_format.Parse(body, kind("ModelInferResponse")())
    assert (status, answer.model_name, answer.model_version, answer.id) == (200, "demo", "1.0", "7")
    names = [one.name for one in answer.outputs]
    assert names == ["output_0", "label", "score"]
    assert [list(one.shape) for one in answer.outputs] == [[2, 2], [2], [2]]
    scores = np.frombuffer(answer.raw_output_contents[2], np.float32)
    assert scores.shape == (2,)
    plain = json.dumps({"instances": rows.tolist()}).encode()
    [(_, _, said)] = send(table, (plain, {"content-type": "application/json"}))
    np.testing.assert_allclose(scores, [one["score"] for one in json.loads(said)["predictions"]], rtol=1e-5)


def test_only_the_outputs_asked_for_are_answered(table):
    rows = np.ones((1, 2), np.float32)
    asked = made(
        "ModelInferRequest",
        inputs=[tensor("features", "FP32", [1, 2])],
        outputs=[{"name": "score", "parameters": {"binary_data": {"bool_param": True}}}],
        raw_input_contents=[raw(rows)],
    )
    [(_, _, body)] = send(table, (as_json(asked), MEDIA))
    answer = json_format.Parse(body, kind("ModelInferResponse")())
    assert [one.name for one in answer.outputs] == ["score"]


NOTHING = [tensor("a", "FP32", [0]), tensor("b", "FP32", [0])]
MANY = raw(np.ones((99, 2), np.float32))
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no input": ({}, "inputs"),
    "an input twice": ({"inputs": [tensor("features", "FP32", [0])] * 2}, "once"),
    "too few raw": (
        {"inputs": [tensor("a", "FP32", [0]), tensor("b", "FP32", [0])], "raw_input_contents": [""]},
        "raw",
    ),
    "raw and typed": (
        {"inputs": [tensor("a", "FP32", [1], contents={"fp32_contents": [1]})], "raw_input_contents": ["AAAAAA=="]},
        "both raw",
    ),
    "another shape": ({"inputs": [tensor("features", "FP32", [3, 2], contents={"fp32_contents": [1]})]}, "shape"),
    "another type": ({"inputs": [tensor("features", "FP32", [1], contents={"int_contents": [1]})]}, "shape"),
    "typed halves": ({"inputs": [tensor("features", "FP16", [1])]}, "raw"),
    "no such type": ({"inputs": [tensor("features", "STRING", [0])]}, "STRING"),
    "no such input": ({"inputs": [tensor("other", "FP32", [1, 2], contents={"fp32_contents": [1, 2]})]}, "other"),
    "not a number": (
        {"inputs": [tensor("features", "FP32", [1, 2], contents={"fp32_contents": ["NaN", 1]})]},
        "finite",
    ),
    "too many rows": (
        {"inputs": [tensor("features", "FP32", [99, 2])], "raw_input_contents": [MANY]},
        "",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_callers_fault_is_said_as_grpc_says_it(table, name):
    fields, text = BROKEN[name]
    good = made("ModelInferRequest", inputs=[tensor("features", "FP32", [1, 2], contents={"fp32_contents": [1, 2]})])
    bad, other = send(table, (as_json(made("ModelInferRequest", **fields)), MEDIA), (as_json(good), MEDIA))
    status, headers, body = bad
    assert status in {400, 413, 422}
    assert body == b""
    assert headers["grpc-status"] == ("8" if status == 413 else "3")
    assert text in headers["grpc-message"]
    assert other[0] == 200


def test_what_is_no_message_is_refused(table):
    for body in (b"", b"{", b"[]", b'{"inputs": 1}', b'{"inputs": [{"name": "x"}]}', b'{"raw_input_contents": ["?"]}'):
        [(status, _, _)] = send(table, (body, MEDIA))
        assert status == 400


def test_an_error_of_any_text_fits_in_a_header(table):
    name = "é\r\n%" * 20
    asked = made("ModelInferRequest", inputs=[tensor(name, "FP32", [1, 2], contents={"fp32_contents": [1, 2]})])
    [(_, headers, _)] = send(table, (as_json(asked), MEDIA))
    assert headers["grpc-message"].isascii()
    assert headers["grpc-message"].isprintable()


TENSORS = st.fixed_dictionaries(
    {"name": st.sampled_from(["features", "x"]), "datatype": st.sampled_from(["FP32", "BYTES", "FP16", "X"])},
    optional={
        "shape": st.lists(st.integers(-2, 9).map(str), max_size=3),
        "contents": st.dictionaries(
            st.sampled_from(["fp32_contents", "bytes_contents"]), st.lists(st.text() | st.floats())
        ),
    },
)
MESSAGES = st.fixed_dictionaries(
    {}, optional={"inputs": st.lists(TENSORS), "raw_input_contents": st.lists(st.text()), "id": st.text()}
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200) | MESSAGES.map(lambda one: json.dumps(one).encode()))
def test_any_bytes_get_an_answer_and_the_neighbour_its_own(table, body):
    good = made("ModelInferRequest", inputs=[tensor("features", "FP32", [1, 2], contents={"fp32_contents": [1, 2]})])
    (status, headers, _), (neighbour, _, answer) = send(table, (body, MEDIA), (as_json(good), MEDIA))
    assert status in {200, 400, 413, 422}
    assert ("grpc-status" in headers) == (status != 200)
    assert neighbour == 200
    assert json_format.Parse(answer, kind("ModelInferResponse")()).outputs
