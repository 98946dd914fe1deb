"""The OpenAPI document is made of the signatures, and nothing that it allows or forbids makes the server fail."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.helpers import plain_http
from tests.helpers.gateway import TorchServeClient

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
MODELS = ("churn", "digits", "segment", "sentiment")


@pytest.fixture(scope="module")
def url(demo_gateway: TorchServeClient) -> str:
    return demo_gateway.url


@pytest.fixture(scope="module")
def document(url: str) -> dict[str, Any]:
    answer = plain_http.get(f"{url}/openapi.json", timeout=30)
    assert answer.status_code == 200, answer.text
    openapi: dict[str, Any] = answer.json()
    return openapi


def test_every_model_is_described_by_its_own_signature(document):
    assert {path.split("/")[2] for path in document["paths"] if path.startswith("/predictions/")} == set(MODELS)
    schemas = document["components"]["schemas"]
    assert schemas["sentiment.row"]["properties"]["text"]["type"] == "string"
    lists, named, keyed = schemas["churn.row"]["oneOf"]
    assert (lists["minItems"], lists["maxItems"]) == (6, 6)
    assert keyed["required"] == ["basket", "customer_id"]
    assert "customer_id" not in named["properties"]
    label = document["paths"]["/predictions/digits"]["post"]["responses"]["200"]["content"]["application/json"]
    prediction, _ = label["schema"]["properties"]["predictions"]["items"]["anyOf"]
    assert prediction["properties"]["label"]["enum"] == list("0123456789")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", ["/predictions/{}", "/v1/models/{}:predict", "/v2/models/{}", "/v2/models/{}/ready"])
def test_whatever_is_sent_nothing_fails(url, document, model, kind):
    path = kind.format(model)
    schema = schemathesis.openapi.from_dict(document)
    operation = schema[path]["POST" if "post" in document["paths"][path] else "GET"]

    @given(case=operation.as_strategy())
    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def allowed(case):
        case.call_and_validate(base_url=url, checks=CHECKS)

    allowed()


@pytest.mark.parametrize("model", MODELS)
@given(body=..., kind=st.sampled_from(["application/json", "application/octet-stream", "application/x-npy"]))
@settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_bytes_of_any_kind_are_answered_with_a_reason(url, model, body: bytes, kind: str):
    headers = {"Content-Type": kind}
    answer = plain_http.post(f"{url}/predictions/{model}", content=body, headers=headers, timeout=30)
    assert answer.status_code < 500, (body, answer.text)
    assert answer.status_code == 200 or answer.json()["error"]["reason"]
