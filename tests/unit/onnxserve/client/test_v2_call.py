"""Messages of V2's gRPC service, read and written by protobuf's own library."""

from __future__ import annotations

import numpy as np
import pytest

from onnxserve.client.rows import rows_as_tensors
from onnxserve.client.tensors import datatype_of, pack
from onnxserve.client.v2_call import decode_call, encode_call
from tests.helpers.messages import kind, message_of

TENSORS = {
    "features": np.array([[1.5, -2], [3, 4]]),
    "ids": np.array([[1], [2**40]]),
    "text": np.array(["ä", "b"], np.object_),
}


def test_a_request_says_what_it_should():
    message = encode_call("demo", "1.0", TENSORS, ["label"], {"top_k": -2, "exact": True, "mode": "fast"})
    request = kind("ModelInferRequest").FromString(message)
    assert (request.model_name, request.model_version) == ("demo", "1.0")
    assert [(entry.name, entry.datatype, list(entry.shape)) for entry in request.inputs] == [
        ("features", "FP64", [2, 2]),
        ("ids", "INT64", [2, 1]),
        ("text", "BYTES", [2]),
    ]
    assert [bytes(content) for content in request.raw_input_contents] == [pack(array) for array in TENSORS.values()]
    assert np.frombuffer(request.raw_input_contents[0]).tolist() == [1.5, -2, 3, 4]
    assert request.raw_input_contents[2] == b"\x02\0\0\0\xc3\xa4\x01\0\0\0b"
    assert [output.name for output in request.outputs] == ["label"]
    parameters = request.parameters
    assert (parameters["top_k"].int64_param, parameters["exact"].bool_param) == (-2, True)
    assert parameters["mode"].string_param == "fast"


def test_a_parameter_that_has_no_field_is_refused():
    with pytest.raises(TypeError, match=r"parameter threshold is sent over gRPC as .* got 0\.5"):
        encode_call("demo", "", TENSORS, (), {"threshold": 0.5})


def test_a_response_is_read():
    outputs = [{"name": name, "datatype": datatype_of(array), "shape": array.shape} for name, array in TENSORS.items()]
    message = message_of("ModelInferResponse", model_name="demo", outputs=outputs)
    message.raw_output_contents.extend(map(pack, TENSORS.values()))
    read = decode_call(message.SerializeToString())
    assert {name: array.tolist() for name, array in read.items()} == {
        name: array.tolist() for name, array in TENSORS.items()
    }
    assert decode_call(b"") == {}


def test_rows_become_tensors():
    texts = rows_as_tensors(["a", "b"])
    assert isinstance(texts, dict)
    assert texts["text"].tolist() == ["a", "b"]
    columns = rows_as_tensors([{"age": 1, "colour": "red"}, {"age": 2.5, "colour": "blue"}])
    assert isinstance(columns, dict)
    assert {name: array.tolist() for name, array in columns.items()} == {"age": [1, 2.5], "colour": ["red", "blue"]}
    numbers = rows_as_tensors([[1, 2], [3, 4]])
    assert isinstance(numbers, np.ndarray)
    assert numbers.shape == (2, 2)


@pytest.mark.parametrize("rows", [[b"file"], [{"a": 1}, {"b": 1}], [[1], ["x"]], [{"a": None}], [None]])
def test_rows_that_have_no_tensors_are_refused(rows):
    with pytest.raises(ValueError, match="rows for gRPC"):
        rows_as_tensors(rows)
