"""V2 over gRPC in the handlers, with messages that protobuf's own library writes and reads."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from onnxserve_handlers import errors
from onnxserve_handlers.errors import InternalError, RequestError
from onnxserve_handlers.features.handler import FeaturesUnavailable
from onnxserve_handlers.protocols.v2_grpc import MEDIA as GRPC
from onnxserve_handlers.protocols.v2_grpc import STATUS, read_call, status_of, trailers
from onnxserve_handlers.signature import DATATYPES
from onnxserve_handlers.telemetry.metrics import OUTCOMES
from tests.helpers.fakes import POISON
from tests.helpers.inference import send
from tests.helpers.messages import framed, message_of, unframed

MEDIA = {"content-type": GRPC}
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


def call(**fields: Any) -> bytes:
    return framed(message_of("ModelInferRequest", **fields))


def features(*row: float) -> dict[str, Any]:
    return tensor("features", "FP32", [1, 2], contents={"fp32_contents": row})


GOOD = call(inputs=[features(1, 2)])


@given(st.data(), st.sampled_from(sorted(DATATYPES)))
def test_raw_elements_of_every_type_are_read_as_they_were(data, name):
    array = data.draw(arrays.arrays(DATATYPES[name], arrays.array_shapes(max_dims=3, max_side=4)))
    _, values = read_call(call(inputs=[tensor("x", name, array.shape)], raw_input_contents=[raw(array)]))
    np.testing.assert_array_equal(values["x"], array)
    assert values["x"].dtype == array.dtype


@given(st.data(), st.sampled_from(sorted(TYPED)))
def test_typed_elements_are_read_as_they_were(data, name):
    array = data.draw(arrays.arrays(DATATYPES[name], arrays.array_shapes(max_dims=2, max_side=4)))
    message = message_of("ModelInferRequest", inputs=[tensor("x", name, array.shape)])
    getattr(message.inputs[0].contents, f"{TYPED[name]}_contents").extend(array.reshape(-1).tolist())
    _, values = read_call(framed(message))
    np.testing.assert_array_equal(values["x"], array)
    assert values["x"].dtype == array.dtype


@pytest.mark.parametrize("typed", [False, True])
def test_texts_are_bytes_either_way(typed):
    texts = [b"", "ü".encode(), b"\xff\x00"]
    sent = tensor("text", "BYTES", [3])
    packed = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    if typed:
        sent["contents"] = {"bytes_contents": [base64.b64encode(text).decode() for text in texts]}
        _, values = read_call(call(inputs=[sent]))
    else:
        _, values = read_call(call(inputs=[sent], raw_input_contents=[base64.b64encode(packed).decode()]))
    assert values == {"text": texts}


@pytest.mark.parametrize("media", [GRPC, f"{GRPC}+proto", "Application/gRPC; charset=x"])
def test_an_answer_is_the_protocols_message(table, media):
    rows = np.array([[1, 2], [3, 4]], np.float32)
    body = call(id="7", inputs=[tensor("features", "FP32", [2, 2])], raw_input_contents=[raw(rows)])
    [(status, headers, content)] = send(table, (body, {"Content-Type": media}))
    assert (status, headers) == (200, {"x-grpc-status": "0"})
    answer = unframed(content)
    assert (answer.model_name, answer.model_version, answer.id) == ("demo", "1.0", "7")
    assert [output.name for output in answer.outputs] == ["output_0", "label", "score"]
    assert [output.datatype for output in answer.outputs] == ["FP32", "BYTES", "FP32"]
    assert [list(output.shape) for output in answer.outputs] == [[2, 2], [2], [2]]
    assert answer.raw_output_contents[0] == np.array([[0, 1], [0, 3]], np.float32).tobytes()
    assert answer.raw_output_contents[1] == (struct.pack("<I", 3) + b"yes") * 2
    scores = np.frombuffer(answer.raw_output_contents[2], np.float32)
    plain = json.dumps({"instances": rows.tolist()}).encode()
    [(_, _, plain_content)] = send(table, (plain, {"content-type": "application/json"}))
    np.testing.assert_allclose(scores, [row["score"] for row in json.loads(plain_content)["predictions"]], rtol=1e-5)


def test_an_answer_has_the_bytes_that_protobufs_library_writes(table):
    [(_, _, body)] = send(table, (GOOD, MEDIA))
    assert unframed(body).SerializeToString(deterministic=True) == body[5:]


def test_only_the_outputs_asked_for_are_answered(table):
    body = call(
        inputs=[features(1, 1)], outputs=[{"name": "score", "parameters": {"binary_data": {"bool_param": True}}}]
    )
    [(_, _, content)] = send(table, (body, MEDIA))
    assert [output.name for output in unframed(content).outputs] == ["score"]


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
    "no such output": ({"inputs": [features(1, 2)], "outputs": [{"name": "nothing"}]}, "nothing"),
    "not a number": (
        {"inputs": [tensor("features", "FP32", [1, 2], contents={"fp32_contents": ["NaN", 1]})]},
        "finite",
    ),
    "too many rows": (
        {"inputs": [tensor("features", "FP32", [99, 2])], "raw_input_contents": [MANY]},
        "too_large",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_callers_fault_is_said_as_grpc_says_it(table, name):
    fields, text = BROKEN[name]
    (status, headers, body), other = send(table, (call(**fields), MEDIA), (GOOD, MEDIA))
    assert (status, body) == (200, b"")
    kind = headers["x-onnxserve-error"]
    assert kind in {"undecodable_body", "invalid_row", "too_large"}
    assert headers["x-grpc-status"] == ("8" if kind == "too_large" else "3")
    assert text in unquote(headers["x-grpc-message"])
    assert other[0] == 200
    assert unframed(other[2]).outputs


def test_a_servers_fault_keeps_its_status_and_says_nothing(table):
    [(status, headers, body), (good, _, _)] = send(table, (call(inputs=[features(POISON, 2)]), MEDIA), (GOOD, MEDIA))
    assert (status, body, good) == (500, b"", 200)
    assert (headers["x-grpc-status"], headers["x-onnxserve-error"]) == ("13", "internal_error")
    assert "secret" not in str(headers)


FRAMES: dict[str, tuple[bytes, str, str]] = {
    "compressed": (b"\x01" + GOOD[1:], "12", "unimplemented"),
    "two messages": (GOOD * 2, "12", "unimplemented"),
    "a rest": (GOOD + b"x", "12", "unimplemented"),
    "cut off": (GOOD[:-1], "13", "malformed_frame"),
    "a prefix alone": (GOOD[:4], "13", "malformed_frame"),
    "another flag": (b"\x02" + GOOD[1:], "13", "malformed_frame"),
    "no protobuf": (framed(b"\xff"), "3", "undecodable_body"),
    "an empty message": (framed(b""), "3", "undecodable_body"),
    "nothing": (b"", "3", "undecodable_body"),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_broken_frame_gets_grpcs_own_status(table, name):
    body, status, kind = FRAMES[name]
    (code, headers, answer), other = send(table, (body, MEDIA), (GOOD, MEDIA))
    assert (code, answer, other[0]) == (200, b"", 200)
    assert (headers["x-grpc-status"], headers["x-onnxserve-error"]) == (status, kind)
    assert headers["grpc-accept-encoding"] == "identity"


def every_error(base: type[RequestError] = RequestError) -> set[type[RequestError]]:
    return {base}.union(*(every_error(kind) for kind in base.__subclasses__()))


def test_every_kind_of_error_has_its_status_and_its_count():
    assert FeaturesUnavailable in every_error()
    kinds = {error.kind for error in every_error() if error.__module__.startswith(errors.__package__)}
    assert set(STATUS) == kinds
    assert kinds - {"bad_request"} <= OUTCOMES


@pytest.mark.parametrize(("status", "code"), [(409, 3), (503, 13)])
def test_a_handlers_own_error_has_a_status_by_whose_fault_it_is(status, code):
    error = InternalError()
    error.kind, error.status = "my_own", status
    assert status_of(error) == code


@given(st.text())
def test_an_error_of_any_text_fits_in_a_header(text):
    [_, (_, value)] = trailers(3, text)
    assert value.isascii()
    assert value.isprintable()
    assert len(value) < 2200
    assert text.startswith(unquote(value))


TENSORS = st.fixed_dictionaries(
    {"name": st.sampled_from(["features", "x"]), "datatype": st.sampled_from(["FP32", "BYTES", "FP16", "X"])},
    optional={
        "shape": st.lists(st.integers(-2, 9).map(str), max_size=3),
        "contents": st.fixed_dictionaries(
            {},
            optional={
                "fp32_contents": st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False)),
                "bytes_contents": st.lists(
                    st.binary(max_size=9).map(lambda content: base64.b64encode(content).decode())
                ),
            },
        ),
    },
)
CALLS = st.fixed_dictionaries(
    {},
    optional={
        "inputs": st.lists(TENSORS),
        "raw_input_contents": st.lists(st.binary(max_size=9).map(lambda content: base64.b64encode(content).decode())),
        "id": st.text(),
    },
).map(lambda fields: call(**fields))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200) | st.binary(max_size=200).map(framed) | CALLS)
def test_any_bytes_get_an_answer_and_the_neighbour_its_own(table, body):
    (status, headers, answer), (neighbour, _, other) = send(table, (body, MEDIA), (GOOD, MEDIA))
    assert (status, neighbour) == (200, 200)
    assert (headers["x-grpc-status"] == "0") == (answer != b"") == ("x-onnxserve-error" not in headers)
    assert unframed(other).outputs
