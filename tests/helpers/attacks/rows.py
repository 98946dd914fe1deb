"""What a hostile client sends, by input kind: each body, its type, and the status, place and reason that it must get.

A status of 200 stands for what looks odd but is a row.
"""

from __future__ import annotations

import gzip
import json
import struct
from typing import Any, NamedTuple

from tests.helpers.inference import JSON

ANYWHERE = "instances[0]*"  # in the row


class Attack(NamedTuple):
    """`task` names the small model that gets it; `reason` is a part of the error's, and `where` may end in a star."""

    task: str
    name: str
    body: bytes
    status: int
    where: str = ""
    reason: str = ""
    kind: str = JSON
    coding: str = ""
    protocol: str = ""  # the form that a path of the gateway stands for


def row(task: str, name: str, value: Any, where: str, reason: str, status: int = 422) -> Attack:
    """Return one row in JSON."""
    return Attack(task, name, json.dumps({"instances": [value]}).encode(), status, where, reason)


def text(task: str, name: str, body: bytes, status: int, where: str = "body", reason: str = "") -> Attack:
    return Attack(task, name, body, status, where, reason)


def every_kind(task: str) -> list[Attack]:
    """Return what no kind may take."""
    deep = b"[" * 100_000 + b"]" * 100_000
    bomb = gzip.compress(b" " * 30_000_000)
    return [
        text(task, "deep lists", deep, 400, reason="not valid JSON"),
        text(task, "deep objects", b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 400, reason="not valid JSON"),
        text(task, "a deep row", b'{"instances": [' + b"[" * 900 + b"]" * 900 + b"]}", 422, ANYWHERE),
        text(task, "NaN", b'{"instances": [NaN]}', 400, reason="not valid JSON"),
        text(task, "infinity", b'{"instances": [[1e999, 2]]}', 400, reason="not valid JSON"),
        text(task, "an integer of 400 digits", b'{"instances": [[' + b"9" * 400 + b", 1.5]]}", 422, ANYWHERE),
        text(
            task, "an integer of 5000 digits", b'{"instances": [[' + b"9" * 5000 + b"]]}", 400, reason="not valid JSON"
        ),
        text(task, "half of a surrogate pair", b'{"instances": ["\\ud800"]}', 400, reason="not valid JSON"),
        text(task, "an encoded surrogate", b'{"instances": ["\xed\xa0\x80"]}', 400, reason="not valid JSON"),
        text(task, "nothing", b"", 400, reason="empty"),
        text(task, "no rows", b'{"instances": []}', 400, "instances", "non-empty"),
        text(task, "rows that are null", b'{"instances": null}', 400, "instances", "non-empty"),
        text(task, "inputs that are null", b'{"inputs": null}', 400, "inputs", "array"),
        text(task, "keys of 50,000 characters", json.dumps({"instances": [1], "x" * 50_000: 1}).encode(), 400),
        row(task, "null", None, ANYWHERE, "null"),
        row(task, "an empty object", {}, ANYWHERE, ""),
        row(task, "an unknown key of 50,000 characters", {"x" * 50_000: 1}, ANYWHERE, ""),
        Attack(task, "a gzip bomb", bomb, 413, "body", "when inflated", coding="gzip"),
        Attack(task, "no gzip", b"{}", 400, "Content-Encoding", "not gzip", coding="gzip"),
        Attack(task, "an archive of arrays", b"PK\3\4" + bytes(99), 415, "Content-Type", "npz", "application/x-npz"),
    ]


def texts() -> list[Attack]:
    mask = {"name": "attention_mask", "shape": [1, 2], "datatype": "INT64", "data": [1, 1]}
    ids = {**mask, "name": "input_ids", "data": [2, 3]}

    def tensors(name: str, where: str, *inputs: Any) -> Attack:
        return text("classification", name, json.dumps({"inputs": inputs}).encode(), 422, where)

    def top_k(name: str, value: Any) -> Attack:
        body = json.dumps({"instances": ["late"], "parameters": {"top_k": value}}).encode()
        return text("classification", name, body, 200 if type(value) is int and value >= 0 else 422, "parameters.top_k")

    return [
        row("classification", "combining marks alone", "\u0301\u0302", "", "", 200),
        row("classification", "a text of spaces", " \t\u2003", "instances[0]", "empty"),
        row("classification", "a million words", "a " * 1_000_000, "instances[0]", "1000000 tokens"),
        row("classification", "a word in a list", ["late"], "instances[0]", "a list"),
        row("tokens", "no words", [], "instances[0]", "a list"),
        row("tokens", "a blank word", ["Ann", " "], "instances[0][1]", "empty"),
        row("tokens", "a number among words", ["Ann", 1], "instances[0][1]", "a number"),
        row("tokens", "words in words", [["Ann"]], "instances[0][0]", "a list"),
        row("rerank", "three texts", ["a", "b", "c"], "instances[0]", "a list of 3"),
        row("rerank", "half a pair", ["late", None], "instances[0].text_pair", "null"),
        row("rerank", "one text", {"text": "late"}, "instances[0]", "a string"),
        Attack("classification", "Latin-1", b"late \xe9", 400, "instances[0]", "UTF-8", "text/plain"),
        top_k("a million labels", 10**6),
        top_k("more labels than a machine's word", 10**60),
        top_k("labels below 0", -1),
        top_k("half a label", 1.5),
        top_k("true labels", True),
        top_k("labels in words", "3"),
        tensors("an id below 0", "inputs.input_ids", {**ids, "data": [-1, 2]}, mask),
        tensors("an id beyond the vocabulary", "inputs.input_ids", {**ids, "data": [10**9, 2]}, mask),
        tensors("a mask of 2", "inputs.attention_mask", ids, {**mask, "data": [1, 2]}),
        tensors("a mask of nothing", "inputs.attention_mask", ids, {**mask, "data": [0, 0]}),
        tensors("a shape below 0", "inputs.input_ids", {**ids, "shape": [-1, 2]}, mask),
        tensors("a shape of 2^63 elements", "inputs.input_ids", {**ids, "shape": [2**62, 2]}, mask),
    ]


def tables() -> list[Attack]:
    twice = b'{"instances": [{"rooms": 1, "rooms": 3, "age": 1}]}'
    return [
        text("regression", "a column twice: the last one counts", twice, 200),
        text("regression", "rows and null under another name", b'{"instances": null, "row": [1, 2]}', 400, "instances"),
        text("regression", "null beside a row", b'{"features": [1, 2], "row": null}', 422, "instances[0]", "unknown"),
        row("regression", "a missing column", {"rooms": 1}, "instances[0]", "missing columns ['age']"),
        row("regression", "an unknown column", {"rooms": 1, "age": 1, "x": 1}, "instances[0]", "unknown columns ['x']"),
        row("regression", "a null", [1, None], "instances[0].age", "null"),
        row("regression", "a boolean", [1, True], "instances[0].age", "true or false"),
        row("regression", "a number in quotes", ["1", 2], "instances[0].rooms", "a string"),
        row("regression", "a number beyond float32", [1e39, 2], "instances[0].rooms", "not finite"),
        row("regression", "too few values", [1], "instances[0]", "1 values"),
        row("regression", "nested values", [[1], 2], "instances[0].rooms", "a list"),
    ]


def arrays() -> list[Attack]:
    return [
        row("raw", "no elements", [], "instances[0].reading", "shape (0,), expected ('time',)"),
        row("raw", "too many elements", [0] * 10, "instances[0]", "10 long, at most 9"),
        row("raw", "a ragged array", [[1], [1, 2]], "instances[0].reading", "rectangular"),
        row("raw", "booleans", [True], "instances[0].reading", "bool"),
        row("raw", "a boolean among numbers", [True, 1.5], "instances[0].reading", "other values"),
        row("raw", "texts", ["1"], "instances[0].reading", "other values"),
        row("raw", "a scalar", 1, "instances[0].reading", "shape ()"),
        row("raw", "another input", {"x": [1]}, "instances[0]", "['x']"),
        row("raw", "a number beyond float32", [1e300], "instances[0].reading", "not finite"),
        row("raw", "an integer beyond 64 bits", [2**64], "instances[0].reading", "64 bits"),
        text(
            "raw", "forty lists", b'{"instances": [' + b"[" * 40 + b"1" + b"]" * 40 + b"]}", 422, "instances[0].reading"
        ),
        npy("a header of 10^9 rows", "(1000000000, 2)"),
        npy("a header of no rows", "(0, 2)"),
    ]


def npy(name: str, shape: str) -> Attack:
    """Return an `.npy` file of a shape without elements."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    return Attack("raw", name, content, 400, "body", "", "application/x-npy")
