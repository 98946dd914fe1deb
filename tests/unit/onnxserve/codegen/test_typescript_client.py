"""Types of TypeScript for JSON schemas; an end-to-end test compiles a client and runs it."""

from __future__ import annotations

import re

import pytest

from onnxserve.codegen import ModelContract, typescript_client
from onnxserve.codegen.typescript_client import TypeScriptTypes

NUMBER = {"type": "number"}
TEXT = {"type": "string"}


@pytest.mark.parametrize(("schema", "written"), [
    (NUMBER, "number"), ({"type": "integer"}, "number"), ({"type": ["string", "null"]}, "string | null"),
    ({}, "unknown"),
    ({"enum": ["a", 'b"', 1]}, '"a" | "b\\"" | 1'), ({"type": "array", "items": {"enum": [1, 2]}}, "Array<1 | 2>"),
    ({"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2}, "[number, number]"),
    ({"type": "object", "properties": {"a-b": NUMBER, "c": TEXT}, "required": ["c"]},
     '{ "a-b"?: number; "c": string }'),
    ({"type": "object", "additionalProperties": NUMBER}, "{ [name: string]: number }"),
    ({"anyOf": [NUMBER, NUMBER, TEXT]}, "number | string"), ({"anyOf": [NUMBER, {}]}, "unknown"),
])  # fmt: skip
def test_a_schema_is_a_type(schema, written):
    assert TypeScriptTypes().of(schema, "x") == written


def test_a_client_names_its_model_and_types():
    source = typescript_client(ModelContract("my-model", TEXT, NUMBER, 7, {"top_k": {"type": "integer"}}))
    assert "export class MyModelClient {" in source
    declared = dict(re.findall(r"export (?:const|type) (\w+) = (.*?);", source))
    assert declared["MODEL"] == '"my-model"'
    assert declared["MAX_ROWS"] == "7"
    assert (declared["Row"], declared["Prediction"]) == ("string", "number")
    assert declared["Parameters"] == '{ "top_k"?: number }'
