"""Arrays, columns and pixels as inputs: .npy files and tensors of V2."""

import io
import json

import numpy as np
import pytest

from onnxserve_handlers.inputs.table_columns import Column
from onnxserve_handlers.signature import Tensor
from tests.helpers.fakes import FakeSession
from tests.helpers.inference import features, infer, send, signed
from tests.helpers.kinds import ImageClassifier, TableClassifier


def test_an_npy_file_goes_in_and_on_demand_comes_out(table):
    stream = io.BytesIO()
    np.save(stream, np.array([[1, 2], [3, 4]], np.float32))
    plain, npy = send(
        table,
        (stream.getvalue(), {"Content-Type": "application/octet-stream"}),
        (stream.getvalue(), {"Content-Type": "application/x-npy", "Accept": "application/x-npy"}),
    )
    assert [row["label"] for row in json.loads(plain[2])["predictions"]] == ["yes", "yes"]
    np.testing.assert_array_equal(np.load(io.BytesIO(npy[2])), [[0, 1], [0, 3]])


@pytest.mark.parametrize(
    ("array", "status"),
    [
        (np.ones((1, 3), np.float32), 422),
        (np.full((1, 2), 1e39), 422),
        (np.ones((1, 2), np.bool_), 422),
        (np.array([["a", "b"]]), 400),
        (np.zeros((0, 2), np.float32), 400),
        (np.zeros((1, 2), "f4,i4"), 400),
        (np.array([[None, 1]], dtype=object), 400),
        (np.float32(1), 400),
    ],
)
def test_an_array_that_is_not_the_input_is_refused(table, array, status):
    stream = io.BytesIO()
    np.save(stream, array)
    assert send(table, (stream.getvalue(), {}))[0][0] == status
    assert send(table, (stream.getvalue()[:-1], {}))[0][0] == 400


def test_a_header_of_very_many_bytes_is_refused_before_it_is_read(table):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)%s}" % (b" " * 10_000)
    content = b"\x93NUMPY\x02\x00" + len(header).to_bytes(4, "little") + header + bytes(8)
    [(status, _, answer)] = send(table, (content, {"content-type": "application/x-npy"}))
    assert (status, json.loads(answer)["error"]["type"]) == (400, "undecodable_body")
    assert "at most 10000 are read" in json.loads(answer)["error"]["reason"]


@pytest.mark.parametrize("dtype", ["<f8", ">f4", ">f8", "<f2", "<i8", ">u2", "|i1", "<f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_of_any_numbers_in_any_order_is_read_as_its_numbers(table, dtype, order):
    rows = np.array([[1, 2], [3, 4], [5, 6]])
    stream = io.BytesIO()
    np.save(stream, np.asarray(rows, dtype, order=order))
    array, plain = send(table, (stream.getvalue(), {}), (json.dumps({"instances": rows.tolist()}).encode(), {}))
    assert (array[0], array[2]) == (200, plain[2])


def column(name, data, shape=None, datatype="FP64"):
    return {"name": name, "shape": [len(data)] if shape is None else shape, "datatype": datatype, "data": data}


def test_a_table_may_come_as_one_tensor_a_column(table):
    plain = infer(table, {"inputs": [features([[1, 2], [3, 4]])]})
    assert infer(table, {"inputs": [column("b", [2, 4]), column("a", [1, 3], [2, 1], "INT64")]}) == plain


@pytest.mark.parametrize(
    ("inputs", "status", "words"),
    [
        ([column("a", [1])], 422, "missing columns ['b']"),
        ([column("a", [1]), column("b", [1]), column("c", [1])], 422, "unknown columns ['c']"),
        ([column("a", [1]), column("b", [1, 2])], 422, "columns have different lengths"),
        ([column("a", [1, 2], [1, 2]), column("b", [1])], 422, "shape (1, 2)"),
        ([column("a", [1], []), column("b", [1])], 422, "shape (), expected"),
        ([column("a", ["x"], datatype="BYTES"), column("b", [1])], 422, "expected a number, got a string"),
        ([column("a", [True], datatype="BOOL"), column("b", [1])], 422, "expected a number, got true or false"),
        ([column("a", [1] * 7), column("b", [1] * 7)], 413, "7 rows"),
    ],
)
def test_columns_that_are_no_rows_are_refused_in_their_words(table, inputs, status, words):
    answer_status, answer = infer(table, {"inputs": inputs})
    assert (answer_status, words in answer["error"]) == (status, True), answer


def test_texts_are_rows_where_each_column_has_a_tensor_of_its_own():
    columns = (Column("x"), Column("town", type="text", categories=("Bern", "Chur")))
    inputs = (Tensor("x", "float32", ("batch", 1)), Tensor("town", "object", ("batch", 1)))
    handler = signed(TableClassifier(), inputs, columns=columns, tensors="columns")
    handler.prepare()
    handler.session = FakeSession()
    towns = [column("town", [town, "Chur"], datatype="BYTES") for town in ("Bern", "Genf")]
    status, answer = infer(handler, {"inputs": [column("x", [1.0, 2.0]), towns[0]]})
    assert (status, answer["outputs"][0]["data"]) == (200, [0, 1, 0, 2])
    status, answer = infer(handler, {"inputs": [column("x", [1.0, 2.0]), towns[1]]})
    assert (status, "instances[0].town: this category is unknown" in answer["error"]) == (422, True)


def test_two_inputs_can_not_come_as_one_array(text):
    assert send(text, (b"\x93NUMPY", {"content-type": "application/x-npy"}))[0][0] == 422


def test_pixels_may_come_as_a_tensor():
    handler = signed(ImageClassifier(), (Tensor("image", "float32", ("batch", 3, 2, 2)),), height=2, width=2)
    handler.session = FakeSession()
    tensor = {"name": "image", "shape": [1, 3, 2, 2], "datatype": "FP32", "data": [0.5] * 12}
    status, answer = infer(handler, {"inputs": [tensor]})
    assert (status, answer["outputs"][0]["data"]) == (200, [0, 0.5])
