"""Arrays by the grammar of their protocols, valid and almost valid: each is answered or refused."""

import json
import math
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from onnxserve_handlers.protocols.npy import read_npy
from onnxserve_handlers.protocols.protobuf import delimited, varint
from onnxserve_handlers.protocols.v2_grpc import frame
from onnxserve_handlers.signature import Tensor
from tests.helpers.fakes import word_tokenizer
from tests.helpers.inference import HEADER, JSON, send, signed
from tests.helpers.kinds import TableClassifier, TextClassifier

ALLOWED = {200, 400, 413, 422}
SLOW = [HealthCheck.too_slow]
NEIGHBOUR = (b"[1, 2]", {"content-type": JSON})
NAMES = ("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64")
DTYPES = dict(zip(NAMES, ("?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"), strict=True))
KINDS = tuple(DTYPES.values())


@pytest.fixture(scope="module")
def table():
    inputs = (Tensor("features", "float32", ("batch", 2)),)
    handler = signed(TableClassifier(), inputs, columns=("a", "b"), max_rows=6)
    handler.prepare()
    return handler


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    axes = ("batch", "sequence")
    inputs = (Tensor("input_ids", "int64", axes), Tensor("attention_mask", "int64", axes))
    handler = signed(TextClassifier(), inputs, max_tokens=4)
    handler.folder = tmp_path_factory.mktemp("text")
    word_tokenizer().save(str(handler.folder / "tokenizer.json"))
    handler.prepare()
    return handler


def mostly(right, wrong):
    """Prefer requests with at most one mistake: a request with several is refused for the first of them."""
    return st.integers(0, 9).flatmap(lambda draw: st.just(right) if draw else wrong)


# .npy: magic, version, length of the header, a literal dictionary, elements.
sizes = st.integers(-1, 6) | st.sampled_from([2**31, 2**62, 2**63, 10**30, True, "1L", "0x2", "1.0", "None", "", "'a'"])
shapes = st.lists(sizes, max_size=4).map(tuple) | st.integers(30, 70).map(lambda axes: (1,) * axes)
codes = st.sampled_from(["U0", "V0", "U4", "S3", "O", "c8", "f16", "M8[s]", "b1", "x", "i3", "f0", ""])
descrs = st.builds("{}{}".format, st.sampled_from(["<", ">", "|", "", "!"]), codes).map(repr) | st.sampled_from(
    ["[('a', '<f4')]", "None", "'<f4", "('<f4', (2,))", "'<f4', 'a': 1", "__import__('os')", "'<f4' * 9", "{'a': 1}"]
)
literals = st.sampled_from(["None", "1", "'C'", "()", ""])


@st.composite
def headers(draw, shape, dtype, columns_first):
    """Generate a dictionary with the format's three keys, or almost."""
    written = "(" + "".join(f"{size}, " for size in draw(mostly(shape, shapes))) + ")"
    fields = {
        "descr": draw(mostly(repr(dtype), descrs)),
        "fortran_order": draw(mostly(str(columns_first), literals)),
        "shape": draw(mostly(written, st.sampled_from(["[1, 2]", "()", "3", "(1, 2", "((1,),)", "(1 2)"]))),
    }
    names = draw(st.permutations(list(fields)))[: draw(mostly(3, st.just(2)))]
    quote = draw(st.sampled_from("'\""))
    inner = ", ".join(f"{quote}{name}{quote}: {fields[name]}" for name in names)
    return draw(mostly("{%s}", st.sampled_from(["{%s, }", " {%s}", "%s", "{%s", "({%s},)"]))) % inner


@st.composite
def npy_files(draw):
    """Generate a file with such a header, whose stated lengths may be wrong."""
    shape, dtype = (draw(st.integers(1, 6)), 2), draw(st.sampled_from("<>")) + draw(st.sampled_from(KINDS[1:]))
    header = draw(headers(shape, dtype, draw(st.booleans()))).encode() + b" " * draw(st.integers(0, 3)) + b"\n"
    major = draw(mostly(1, st.sampled_from([2, 3, 4, 0, 255])))
    length = len(header) + draw(mostly(0, st.sampled_from([-1, 1, 9, 60_000])))
    prefix = b"\x93NUMPY" + bytes([major, 0]) + struct.pack("<H" if major == 1 else "<I", length)
    count = math.prod(shape) * np.dtype(dtype).itemsize + draw(mostly(0, st.sampled_from([-1, 1, 8])))
    return prefix + header + draw(st.just(bytes(count)) | st.binary(min_size=count, max_size=count))


@settings(max_examples=250, deadline=None, suppress_health_check=SLOW)
@given(body=npy_files(), accept=st.sampled_from(["application/x-npy", "*/*"]))
@example(body=b"\x93NUMPY\x01\x00\x3c\x00{'descr': '<U0', 'fortran_order': False, 'shape': (4, 2)}   \n", accept="*/*")
@example(
    body=b"\x93NUMPY\x01\x00\x41\x00{'descr': '|V0', 'fortran_order': False, 'shape': (%d, 18)}  \n" % 2**62,
    accept="*/*",
)
def test_an_npy_file_of_any_header_is_answered_or_refused(table, body, accept):
    answers = send(table, (body, {"content-type": "application/x-npy", "accept": accept}), NEIGHBOUR)
    assert (answers[0][0] in ALLOWED, answers[1][0]) == (True, 200), answers


@settings(max_examples=150, deadline=None)
@given(
    st.data(), st.sampled_from(KINDS), st.sampled_from("<>"), st.booleans(), st.sampled_from([(1, 0), (2, 0), (3, 0)])
)
def test_what_numpy_writes_is_read_as_numpy_reads_it(tmp_path_factory, data, kind, order, columns_first, version):
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    content = data.draw(st.binary(min_size=8 * math.prod(shape), max_size=8 * math.prod(shape)))
    array = np.frombuffer(content, np.dtype(kind).newbyteorder(order), math.prod(shape)).reshape(shape)
    path = tmp_path_factory.mktemp("npy") / "x.npy"
    with path.open("wb") as stream:
        np.lib.format.write_array(stream, np.asarray(array, order="F" if columns_first else "C"), version)
    read, expected = read_npy(path.read_bytes()), np.load(path)
    assert (read.dtype, read.shape) == (expected.dtype, expected.shape)
    assert read.tobytes() == expected.tobytes()


# V2: a document of inputs, then the elements of those that are binary.
dimensions = st.integers(-1, 6) | st.sampled_from([2**31, 2**62, 2**63, 2**70, True, 1.0, "1", None])
v2_shapes = st.lists(dimensions, max_size=4) | st.integers(30, 70).map(lambda axes: [1] * axes) | st.just("x")
numbers = st.integers(-3, 300) | st.floats(width=32) | st.sampled_from([2**63, 2**64, -(2**63), 1e39, True, "1", None])
elements = st.lists(numbers, max_size=8) | st.lists(st.lists(numbers, max_size=3), max_size=4) | numbers
# Inputs that go together, each with the elements of a row.
SETS = ([("features", 2)], [("a", 1), ("b", 1)], [("input_ids", 2), ("attention_mask", 2)], [("text", 1)])
names = st.sampled_from(["features", "a", "input_ids", "text", "data", "", "x"])
datatypes = st.sampled_from([*NAMES, "BYTES", "FP31", ""])


@st.composite
def tensors(draw, name, width, binary):
    """Generate an input, and its elements if they are binary."""
    rows = draw(mostly(2, st.integers(0, 7)))
    kind = draw(
        mostly("BYTES" if name == "text" else "FP32" if width == 1 or name == "features" else "INT64", datatypes)
    )
    tensor = {"name": draw(mostly(name, names)), "datatype": draw(mostly(kind, datatypes))}
    tensor["shape"] = draw(mostly([rows] if name == "text" else [rows, width], v2_shapes))
    if not binary:
        right = ["good"] * rows if kind == "BYTES" else [1] * rows * width
        return tensor | {"data": draw(mostly(right, elements))}, b""
    size = np.dtype(DTYPES[kind]).itemsize if kind in DTYPES else 1
    right = b"\x04\0\0\0good" * rows if kind == "BYTES" else b"\0" * rows * width * size
    blob = draw(mostly(right, st.binary(max_size=40)))
    wrong = st.sampled_from([-1, 0, 7, 2**70, True, "8", None, 1.0])
    return tensor | {"parameters": {"binary_data_size": draw(mostly(len(blob), wrong))}}, blob


@st.composite
def requests(draw):
    """Generate a body and its headers."""
    binary = draw(st.booleans())
    inputs = [draw(tensors(name, width, binary)) for name, width in draw(st.sampled_from(SETS))]
    document = {"inputs": [tensor for tensor, _ in draw(mostly(inputs, st.just(inputs + inputs) | st.just([])))]}
    if draw(st.booleans()):
        document["outputs"] = [{"name": draw(mostly("label", st.sampled_from(["output_0", "score", "x", 3])))}]
    if draw(st.booleans()):
        document["parameters"] = draw(mostly({"binary_data_output": True}, st.sampled_from([{}, [], None])))
    head = json.dumps(document).encode()
    length = draw(mostly(len(head), st.integers(-1, len(head) + 3)))
    return head + b"".join(blob for _, blob in inputs), {
        "content-type": JSON,
        **({HEADER: str(length)} if binary else {}),
    }


@settings(max_examples=300, deadline=None, suppress_health_check=SLOW)
@given(request=requests(), kind=st.sampled_from(["table", "text"]))
@example(
    request=(b'{"inputs": [{"name": "features", "datatype": "FP32", "shape": [0, %d, 4], "data": []}]}' % 2**62, {}),
    kind="table",
)
def test_an_inference_request_of_any_tensors_is_answered_or_refused(table, text, request, kind):
    handler, neighbour = (table, NEIGHBOUR) if kind == "table" else (text, (b"good", {"content-type": "text/plain"}))
    answers = send(handler, request, neighbour)
    assert (answers[0][0] in ALLOWED, answers[1][0]) == (True, 200), answers


@st.composite
def calls(draw):
    """Generate the same as a message of gRPC, raw or typed, that is well-formed protobuf."""
    message, raw = [*delimited(1, b"demo")], draw(st.booleans())
    blobs = []
    for name, width in draw(st.sampled_from(SETS)):
        tensor, blob = draw(tensors(name, width, raw))
        kind, shape = tensor["datatype"], tensor["shape"]
        fields = [*delimited(1, tensor["name"].encode()), *delimited(2, kind.encode())]
        if isinstance(shape, list):
            whole = [size for size in shape if isinstance(size, int) and 0 <= size < 2**64]
            fields += delimited(3, b"".join(map(varint, whole)))
        if raw:
            blobs.append(blob)
        else:
            right = struct.pack("<4f", 1, 2, 3, 4)[: 8 * width]
            field = draw(mostly(6, st.integers(1, 8)))
            fields += delimited(5, b"".join(delimited(field, draw(mostly(right, st.binary(max_size=24))))))
        message += delimited(5, b"".join(fields))
    for blob in blobs:
        message += delimited(7, blob)
    return frame(message)


@settings(max_examples=250, deadline=None, suppress_health_check=SLOW)
@given(body=calls())
def test_a_call_of_any_tensors_is_answered_or_refused(table, body):
    call, (neighbour, _, _) = send(table, (body, {"content-type": "application/grpc"}), NEIGHBOUR)
    assert (call[0], neighbour) == (200, 200), call  # a client's fault is said in the trailers
    assert call[1]["x-grpc-status"] in {"0", "3", "8"}, call[1]
