"""What a hostile client sends in the forms of other servers, and as tensors of V2."""

from __future__ import annotations

import json
from typing import Any

from tests.helpers.attacks.rows import Attack, text


def forms() -> list[Attack]:
    """Return what the forms of other servers' clients may not have."""

    def embeddings(name: str, status: int, where: str, reason: str = "", **document: Any) -> Attack:
        return Attack("embedding", name, json.dumps(document).encode(), status, where, reason, protocol="embeddings")

    def rerank(name: str, status: int, where: str, reason: str = "", **document: Any) -> Attack:
        return Attack("rerank", name, json.dumps(document).encode(), status, where, reason, protocol="rerank")

    return [
        embeddings("no input", 400, "body", "input"),
        embeddings("a null for input", 422, "input", "text", input=None),
        embeddings("an object for input", 422, "input", "text", input={"text": "a"}),
        embeddings("an empty list of inputs", 400, "input", "non-empty", input=[]),
        embeddings("an empty input", 422, "input[0]", "empty", input=""),
        embeddings("an input of spaces", 422, "input[1]", "empty", input=["kind", " "]),
        embeddings("token ids", 422, "input", "list of texts", input=[1, 2]),
        embeddings("lists of token ids", 422, "input", "list of texts", input=[[1, 2]]),
        embeddings("inputs of two types", 422, "input", "list of texts", input=["a", 1]),
        embeddings("too many inputs", 413, "input", "rows", input=["kind"] * 5000),
        embeddings("too long an input", 422, "input[0]", "tokens", input="kind " * 17),
        embeddings("an unknown encoding", 400, "body", "encoding_format", input="kind", encoding_format="hex"),
        embeddings("dimensions of 0", 422, "dimensions", "length", input="kind", dimensions=0),
        embeddings("dimensions in words", 400, "body", "dimensions", input="kind", dimensions="two"),
        embeddings("dimensions of 2^70", 422, "dimensions", "length", input="kind", dimensions=2**70),
        embeddings("half a dimension", 400, "body", "dimensions", input="kind", dimensions=1.5),
        embeddings("a number for the model", 400, "body", "model", input="kind", model=1),
        Attack("embedding", "a list in place of the form", b"[1]", 400, "body", "", protocol="embeddings"),
        Attack("embedding", "no JSON in the form", b"{", 400, "body", "", protocol="embeddings"),
        Attack("regression", "embeddings of a table", b'{"input": "a"}', 422, "model", "", protocol="embeddings"),
        rerank("no query", 400, "body", "query", documents=["kind"]),
        rerank("a null for a query", 400, "body", "query", query=None, documents=["kind"]),
        rerank("a list for a query", 400, "body", "query", query=["a"], documents=["kind"]),
        rerank("an empty query", 422, "query", "empty", query=" ", documents=["kind"]),
        rerank("no documents", 400, "documents", "no documents", query="kind"),
        rerank("an empty list of documents", 400, "documents", "no documents", query="kind", documents=[]),
        rerank("a text for documents", 400, "body", "documents", query="kind", documents="kind"),
        rerank("a number among documents", 400, "body", "documents", query="kind", documents=["a", 1]),
        rerank("a document without a text", 400, "body", "text", query="kind", documents=[{"title": "a"}]),
        rerank("an empty document", 422, "documents[1]", "empty", query="kind", documents=["late", ""]),
        rerank("an empty text", 422, "texts[0]", "empty", query="kind", texts=[""]),
        rerank("too long a document", 422, "documents[0]", "tokens", query="kind", documents=["late " * 20]),
        rerank("too many documents", 413, "documents", "rows", query="kind", documents=["late"] * 5000),
        rerank("a best of 0", 400, "body", "top_n", query="kind", documents=["late"], top_n=0),
        rerank("a best below 0", 400, "body", "top_n", query="kind", documents=["late"], top_n=-1),
        rerank("a best in words", 400, "body", "top_n", query="kind", documents=["late"], top_n="2"),
        rerank("more than there are", 200, "", "", query="kind", documents=["late"], top_n=10**6),
        Attack("rerank", "a text in place of the form", b'"kind"', 400, "body", "", protocol="rerank"),
        Attack("classification", "a ranking of a classifier", b'{"query": "a", "documents": ["b"]}', 422, "model", "",
               protocol="rerank"),
    ]  # fmt: skip


def tensors() -> list[Attack]:
    """Return inference requests of V2 that don't fit a graph of one input."""

    def v2(attack: str, where: str, reason: str, status: int = 422, /, **changes: Any) -> Attack:
        tensor = {"name": "reading", "shape": [1, 2], "datatype": "FP32", "data": [1.5, 2]} | changes
        sent = {key: value for key, value in tensor.items() if value is not ...}
        return Attack("raw", attack, json.dumps({"inputs": [sent]}).encode(), status, where, reason, protocol="v2")

    whole: dict[str, Any] = {"name": "reading", "shape": [1, 1], "datatype": "FP32", "data": [1]}
    reading = "inputs.reading"
    return [
        v2("no name", "inputs", "name", 400, name=...),
        v2("a number for a name", "inputs", "name", 400, name=1),
        v2("another name", "inputs", "expected", name="x"),
        v2("no shape", "inputs", "shape", 400, shape=...),
        v2("a text for a shape", "inputs", "shape", 400, shape="1,2"),
        v2("half a size", "inputs", "shape", 400, shape=[1, 1.5]),
        v2("a size beyond 64 bits", reading, "shape", shape=[1, 2**70]),
        v2("an empty shape", reading, "shape", shape=[]),
        v2("a size of 0", reading, "shape", shape=[1, 0]),
        v2("a shape of too many axes", reading, "shape", shape=[1] * 99 + [2]),
        v2("a shape of more elements", reading, "shape", shape=[2, 2]),
        v2("no type", "inputs", "datatype", 400, datatype=...),
        v2("an unknown type", reading, "datatype", datatype="STRING"),
        v2("texts of a type of numbers", reading, "not FP32", data=["1.5", "2"]),
        v2("booleans for floats", reading, "", data=[True, False]),
        v2("null elements", reading, "not FP32", data=[None, 1]),
        v2("no data", reading, "", data=...),
        v2("ragged elements", reading, "rectangular", data=[[1, 2], [3]]),
        v2("objects for elements", reading, "", data={"a": 1}),
        v2("a fraction of a whole type", reading, "", datatype="INT32"),
        v2("numbers beyond their type", reading, "fit", datatype="INT8", data=[1, 999]),
        v2("numbers beyond a float", reading, "not finite", data=[1e300, 1]),
        v2("too long an axis", "inputs", "long", shape=[1, 10], data=[0] * 10),
        v2("too many rows", "inputs", "rows", 413, shape=[5000, 1], data=[0] * 5000),
        v2("a text for parameters", "inputs", "parameters", 400, parameters="a"),
        v2("a size of bytes that aren't there", reading, "bytes are left", 400, parameters={"binary_data_size": 8}),
        v2("a negative size of bytes", reading, "bytes are left", 400, parameters={"binary_data_size": -8}),
        v2("a true size of bytes", reading, "bytes are left", 400, parameters={"binary_data_size": True}),
        v2("texts of BYTES", "inputs", "BYTES", datatype="BYTES", shape=[1], data=["a"]),
        text("raw", "an object of inputs", json.dumps({"inputs": whole}).encode(), 400, "inputs"),
        text("raw", "no inputs", b'{"inputs": []}', 400, "inputs", "names []"),
        text("raw", "an input twice", json.dumps({"inputs": [whole, whole]}).encode(), 400, "inputs", "reading"),
        text("raw", "a number for an id", json.dumps({"inputs": [whole], "id": 1}).encode(), 400, "inputs", "id"),
        text("raw", "unknown outputs", json.dumps({"inputs": [whole], "outputs": [{"name": "x"}]}).encode(), 422,
             "outputs", "['x']"),
        text("raw", "ranked numbers without labels", json.dumps(
            {"inputs": [whole], "outputs": [{"name": "largest", "parameters": {"classification": 1}}]}).encode(), 422,
            "outputs.largest.classification", "ranked"),
    ]  # fmt: skip
