"""Bodies in every form, each with a secret in one place that no log may show."""

from __future__ import annotations

import base64
import io
import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tests.helpers.messages import message_of

SECRET = "s3cr3t-of-a-client"
OWN_ID = "1d-of-a-client"  # the id of V2, which the response repeats; a cache of responses may have it, but no log
NUMBER = 271828182.5  # the same as a number; float32 holds it exactly
KEPT = 0.8125  # a value that may be kept
JSON = {"content-type": "application/json"}
OK, REFUSED = (200,), (400, 413, 415, 422)


class Body(NamedTuple):
    """The body of one client; `keeps` means that a column that isn't redacted has `KEPT`."""

    name: str
    content: bytes
    headers: Mapping[str, str]
    statuses: tuple[int, ...] = (200, *REFUSED)
    keeps: bool = False
    path: str = "/predictions/{model}"


def bodies() -> list[Body]:
    """Return bodies for a table with the columns x and y, of which y is redacted."""
    return [*rows(), *documents(), *v2(), *arrays(), *others()]


def rows() -> Iterator[Body]:
    """Yield a row in each JSON form, alone and among others, with the secret wherever a row has room for it."""
    good = {
        "list": [KEPT, NUMBER],
        "object": {"x": KEPT, "y": NUMBER},
        "named": {"features": [KEPT, NUMBER]},
        "twice-named": {"data": {"row": {"x": KEPT, "y": NUMBER}}},
    }
    bad: dict[str, Any] = {
        "longer": [KEPT, NUMBER, SECRET],
        "shorter": [SECRET],
        "nested-list": [[KEPT, SECRET]],
        "nested-object": {"x": {"y": SECRET}, "y": {"deep": [SECRET]}},
        "other-case": {"x": KEPT, "Y": SECRET},
        "extra-field": {"x": KEPT, "y": NUMBER, "email": SECRET},
        "field-name": {"x": KEPT, "y": NUMBER, SECRET: 1},
        "wrong-type": {"x": SECRET, "y": SECRET},
        "missing": {"y": SECRET},
        "too-large": {"x": 1e39, "y": SECRET},
        "text": SECRET,
        "named-wrongly": {"features": {"row": SECRET}},
        "base64": {"b64": SECRET},
    }
    for refused, forms in ((False, good), (True, bad)):
        for name, row in forms.items():
            statuses = REFUSED if refused else OK
            yield Body(f"row-{name}", encoded(row), JSON, statuses, keeps=not refused)
            yield Body(f"v1-{name}", encoded({"instances": [row, [0, 0]]}), JSON, statuses, keeps=not refused)
            path = "/v1/models/{model}:predict"
            yield Body(f"v1-path-{name}", encoded({"instances": [row]}), JSON, statuses, not refused, path)


def documents() -> Iterator[Body]:
    """Yield documents that are wrong as a whole."""
    wrong: dict[str, Any] = {
        "beside": {"instances": [[KEPT, 1]], "user": SECRET},
        "signature-name": {"instances": [[SECRET]], "signature_name": SECRET},
        "not-a-list": {"instances": SECRET},
        "no-rows": {"instances": [], SECRET: SECRET},
        "null": None,
        "list-of-texts": [SECRET, SECRET],
    }
    for name, document in wrong.items():
        yield Body(f"document-{name}", encoded(document), JSON, REFUSED)
    yield Body("not-json", f"{{'{SECRET}': {SECRET}".encode(), JSON, REFUSED)
    yield Body("not-utf8", b'{"x": "\xff' + SECRET.encode() + b'"}', JSON, REFUSED)


def tensor(name: str, datatype: str, shape: list[int], data: Any = None, **parameters: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": name, "shape": shape, "datatype": datatype}
    return fields | ({"parameters": parameters} if parameters else {"data": data})


def v2() -> Iterator[Body]:
    """Yield requests of the Open Inference Protocol in JSON and binary."""
    path = "/v2/models/{model}/infer"
    good = {
        "tensor": [tensor("features", "FP32", [1, 2], [KEPT, NUMBER])],
        "columns": [tensor("x", "FP64", [1], [KEPT]), tensor("y", "FP64", [1], [NUMBER])],
    }
    bad = {
        "shape": [tensor("features", "FP32", [1, 3], [KEPT, NUMBER, 1])],
        "datatype": [tensor("features", SECRET, [1, 2], [KEPT, NUMBER])],
        "name": [tensor(SECRET, "FP32", [1, 2], [KEPT, NUMBER])],
        "texts": [tensor("features", "FP32", [1, 2], [SECRET, SECRET])],
        "bytes": [tensor("features", "BYTES", [1], [SECRET])],
        "columns": [tensor("x", "BYTES", [1], [SECRET]), tensor("Y", "BYTES", [1], [SECRET])],
        "ragged": [tensor("features", "FP32", [2], [[KEPT], [NUMBER, 1]])],
    }
    for refused, forms in ((False, good), (True, bad)):
        for name, inputs in forms.items():
            for more in ({}, {"id": OWN_ID}, {"parameters": {"user": SECRET}}):
                content, statuses = encoded({"inputs": inputs, **more}), REFUSED if refused else OK
                label = "-".join(["v2", name, "bad" if refused else "good", *more])
                yield Body(label, content, JSON, statuses, path=path)
    yield Body(
        "v2-output", encoded({"inputs": good["tensor"], "outputs": [{"name": SECRET}]}), JSON, REFUSED, path=path
    )
    blob = struct.pack("<2f", KEPT, NUMBER)
    for name, size, statuses in (("binary", len(blob), OK), ("binary-size", len(blob) - 4, REFUSED)):
        head = encoded({"inputs": [tensor("features", "FP32", [1, 2], binary_data_size=size)], "id": OWN_ID})
        headers = {"content-type": "application/octet-stream", "inference-header-content-length": str(len(head))}
        yield Body(f"v2-{name}", head + blob, headers, statuses, path=path)


def arrays() -> Iterator[Body]:
    """Yield `.npy` files, also with texts."""
    headers = {"content-type": "application/x-npy"}
    for name, array, statuses in (
        ("npy", np.array([[KEPT, NUMBER]], np.float32), OK),
        ("npy-shape", np.array([KEPT, NUMBER, 1], np.float32), REFUSED),
        ("npy-text", np.array([[SECRET, SECRET]]), REFUSED),
    ):
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=False)
        yield Body(name, stream.getvalue(), headers, statuses)
    yield Body("npy-header", b"\x93NUMPY\x01\x00\x40\x00{'" + SECRET.encode().ljust(0x3E), headers, REFUSED)


def others() -> Iterator[Body]:
    """Yield media types that aren't read, and a message of gRPC."""
    for kind in ("text/csv", "text/plain", "application/xml", f"application/{SECRET}", "application/octet-stream"):
        yield Body(f"media-{kind}", f"x,y\n{KEPT},{SECRET}\n".encode(), {"content-type": kind}, REFUSED)
    yield Body("empty", b"", {**JSON, "x-secret": SECRET}, REFUSED)


def forms() -> Iterator[Body]:
    """Yield forms that TorchServe itself parses."""
    kind = "application/x-www-form-urlencoded"
    yield Body("form", f"x={KEPT}&y={SECRET}".encode(), {"content-type": kind}, REFUSED)
    yield Body("form-damaged", f"a=%zz{SECRET}".encode(), {"content-type": kind}, REFUSED)
    field = f'--b\r\nContent-Disposition: form-data; name="data"; filename="{SECRET}"\r\n\r\n'
    for name, row in (("part", f"[{KEPT}, {NUMBER}]"), ("part-refused", f'["{SECRET}"]')):
        content = f"{field}{row}\r\n--b--\r\n".encode()
        yield Body(name, content, {"content-type": "multipart/form-data; boundary=b"})


def messages() -> Iterator[tuple[str, bytes]]:
    """Yield messages of gRPC's ModelInfer for the model `circle`."""
    shape = {"name": "features", "datatype": "FP32", "shape": [1, 2]}
    text = base64.b64encode(SECRET.encode()).decode()
    for name, inputs in {
        "good": [{**shape, "contents": {"fp32_contents": [KEPT, NUMBER]}}],
        "name": [{**shape, "name": SECRET, "contents": {"fp32_contents": [KEPT, NUMBER]}}],
        "texts": [{**shape, "datatype": "BYTES", "contents": {"bytes_contents": [text]}}],
    }.items():
        message = message_of("ModelInferRequest", model_name="circle", id=OWN_ID, inputs=inputs)
        yield name, bytes(message.SerializeToString())


def encoded(value: Any) -> bytes:
    """Encode a value as JSON."""
    return json.dumps(value).encode()
