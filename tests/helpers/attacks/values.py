"""Values that a client may send in place of a row of any kind, as JSON, as texts of V2, or as a whole body."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from onnxserve_handlers.protocols.v2_grpc import MEDIA as GRPC
from tests.helpers.inference import HEADER, JSON
from tests.helpers.messages import framed, message_of
from tests.helpers.protocol_requests import Request, binary_texts, grpc_texts

LONG = 50_000
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 2**63, 2**64, 1e308, "", " ", "\0", "\ufffe", "\u202e", "a" * LONG, "=", "data:;base64,",
    "data:image/png;base64", [], [None], [[]], [[[[]]]], [{}], [True, False], [1, "a"], ["a", 1], [1e308, -1e308],
    [2**64, 0], [0] * LONG, ["a"] * 70, {}, {"": ""}, {"a": 1}, {"b64": None}, {"b64": ""}, {"b64": "!"}, {"b64": []},
    {"data": None},
    {"data": {"data": {"data": {"data": 1}}}}, {"text": None}, {"text": "a", "text_pair": []}, {"image": {"b64": {}}},
    {"array": [0.1], "sampling_rate": None}, {"array": [[0.1]], "sampling_rate": 8000}, {"instances": [1]},
    {"rooms": {}}, {"reading": None}, {"reading": [[1]]}, {"features": None},
)  # fmt: skip
ELEMENTS = (
    b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"a" * LONG, b"!", b"data:;base64,", b"RIFF\0\0\0\0WAVE",
    b"\x89PNG\r\n\x1a\n", b"OggS", b"fLaC", b"ID3", b"\xff\xfb", b"\xff\xd8\xff", b"II*\0", b"GIF89a", b"BM",
    b"\x93NUMPY", b"{}", b"null",
)  # fmt: skip
RAW_JSON = (
    b"", b" ", b"{", b"nul", b'"\\ud800"', b"[1,]", b"1 2", b'{"instances"}', b'{"instances": [1]} x', b"\xef\xbb\xbf",
    b'{"instances": {}}', b'{"instances": "a"}', b'{"instances": [1], "instance": 1}', b'{"instances": [[NaN]]}',
    b'{"instances": [1], "parameters": 1}', b'{"instances": [1], "parameters": {"x": 1}}', b'{"inputs": null}',
    b'{"inputs": "a"}', b'{"instances": [%s]}' % b",".join([b"1"] * 5000), b'{"data": {"instances": [1]}}',
    b'{"instances": [1e400]}', b"\xff\xfe{\0}\0", b'{"a":1,"a":2}', b"[" * 2000, b'{"":' * 2000,
)  # fmt: skip


def rows() -> Iterator[tuple[str, Request]]:
    """Yield requests of one row in JSON, alone and among `instances`."""
    for number, value in enumerate(VALUES):
        for name, document in (("alone", value), ("instances", {"instances": [value]})):
            yield f"{name} {number}: {str(value)[:40]}", (json.dumps(document).encode(), {"content-type": JSON})
    for content in RAW_JSON:
        yield f"json {content[:40]!r}", (content, {"content-type": JSON})


def elements(name: str) -> Iterator[tuple[str, Request]]:
    """Yield requests of V2 with one element of BYTES, named as a row is."""
    for element in ELEMENTS:
        for form, request in (("binary", binary_texts(name, element)), ("grpc", grpc_texts(name, element))):
            yield f"{form} {element[:40]!r}", request
    for value in VALUES:
        entry = {"name": name, "datatype": "BYTES", "shape": [1], "data": [value]}
        yield f"json {str(value)[:40]}", (json.dumps({"inputs": [entry]}).encode(), {"content-type": JSON})
    yield from lengths(name)


def lengths(name: str) -> Iterator[tuple[str, Request]]:
    """Yield elements whose lengths, in four bytes before each, aren't theirs."""
    for content in (b"\1", b"\1\0\0\0", b"\xff\xff\xff\xffa", b"\2\0\0\0a", b"\0\0\0\0\1"):
        entry = {"name": name, "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(content)}}
        head = json.dumps({"inputs": [entry]}).encode()
        yield f"lengths {content!r}", (head + content, {"content-type": JSON, HEADER: str(len(head))})
        field = {"name": name, "datatype": "BYTES", "shape": [1]}
        raw = [base64.b64encode(content).decode()]
        yield (
            f"grpc lengths {content!r}",
            (framed(message_of("ModelInferRequest", inputs=[field], raw_input_contents=raw)), {"content-type": GRPC}),
        )


def bodies(types: tuple[str, ...]) -> Iterator[tuple[str, Request]]:
    """Yield files as whole bodies, of each type that a model reads and of none."""
    for kind in ("", "application/octet-stream", "application/x-npy", "text/plain", "image/png", *types):
        for element in ELEMENTS:
            yield f"{kind} {element[:40]!r}", (element, {"content-type": kind})
