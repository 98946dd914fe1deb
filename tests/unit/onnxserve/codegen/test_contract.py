"""What an OpenAPI document says of a model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from onnxserve.codegen import ModelContract, server_contract
from onnxserve.errors import ArchiveError, ServerError

ROW = {"type": "object", "properties": {"text": {"type": "string"}}}
PREDICTION = {"type": "object", "properties": {"label": {"type": "string"}}}
ERROR = {"type": "object", "properties": {"error": {"type": "object"}}}
PARAMETERS = {"top_k": {"type": "integer"}}


def content(schema: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def document(**paths: Any) -> bytes:
    paths = {f"/predictions/{name}": {"post": operation} for name, operation in paths.items()}
    return json.dumps({"paths": paths, "components": {"schemas": {"demo.row": ROW}}}).encode()


def described() -> dict[str, Any]:
    """As the gateway describes a model."""
    many = {"instances": {"maxItems": 6}, "parameters": {"properties": PARAMETERS}}
    answer = {"properties": {"predictions": {"items": {"anyOf": [PREDICTION, ERROR]}}}}
    return {"requestBody": content({"anyOf": [{"properties": many}, ROW]}), "responses": {"200": content(answer)}}


def test_a_document_has_all_that_a_client_needs():
    contract = server_contract(document(demo=described()), "demo")
    assert (contract.name, contract.row, contract.prediction) == ("demo", ROW, PREDICTION)
    assert (contract.max_rows, contract.parameters) == (6, PARAMETERS)


def test_a_model_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ServerError, match="no model 'other'") as caught:
        server_contract(document(demo=described()), "other")
    assert caught.value.fix == "choose demo"


def test_a_model_whose_rows_are_unknown_has_no_typed_client():
    with pytest.raises(ServerError, match="rows of 'foreign' are unknown"):
        server_contract(document(foreign={"requestBody": {"content": {"*/*": {"schema": {}}}}}), "foreign")
    demo = json.loads(document(demo=described()).replace(b'"maxItems": 6', b'"maxItems": "many"'))
    with pytest.raises(ServerError, match="rows of 'demo' are unknown"):
        server_contract(json.dumps(demo).encode(), "demo")


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]", b'{"paths": null}', b'{"paths": "\xff"}'])
def test_another_document_is_refused(body):
    with pytest.raises(ServerError, match="not an OpenAPI document"):
        server_contract(body, "demo")


def test_a_name_that_could_be_code_is_refused():
    with pytest.raises(ArchiveError, match="isn't a valid name of a model"):
        ModelContract('demo"""\nimport os', {}, {}, 1)
