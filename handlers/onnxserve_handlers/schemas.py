"""JSON schemas of a model's rows and predictions, for OpenAPI (https://spec.openapis.org/oas/v3.1.0#schema-object)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .signature import Signature

Schema = dict[str, Any]
NUMBER: Schema = {"type": "number", "minimum": -1e30, "maximum": 1e30}  # float32 holds no more than 3.4e38
KEY: Schema = {"oneOf": [{"type": "integer"}, {"type": "string"}]}
TEXT: Schema = {"type": "string", "minLength": 1, "pattern": "\\S"}
IMAGE: Schema = {"type": "string", "contentEncoding": "base64"}
ERRORS = {  # by status, of whatever a client can send
    400: "The body is not what its content type says.",
    413: "More bytes or rows than the model accepts.",
    415: "A content type that the model does not read.",
    422: "A row outside the signature; `where` says which.",
}


def row_schema(signature: Signature) -> Schema:
    """What one row may be; a handler of a user's own may accept anything, so its schema allows all."""
    if signature.input.columns:
        return _table(signature)
    module = signature.handler.partition(":")[0].rpartition(".")[2]
    fields: Schema = {"text": {"text": TEXT}, "image": {"image": IMAGE}}.get(module, {})
    return record(fields, [*fields]) if fields else {}


def _table(signature: Signature) -> Schema:
    """Numbers in column order, or by name; with a feature store the keys of entities instead of what it knows."""
    columns, features = signature.input.columns, signature.features
    count, by_name = len(columns), dict.fromkeys(columns, NUMBER)
    forms = [{"type": "array", "items": NUMBER, "minItems": count, "maxItems": count}, record(by_name, columns)]
    if features:
        own = [name for name in columns if name not in features.columns]
        forms.append(record(by_name | dict.fromkeys(features.entities, KEY), [*own, *features.entities]))
    return {"oneOf": forms}


def prediction_schema(signature: Signature) -> Schema:
    """What is answered for one row: a prediction, or the error of a row that alone of its request has none."""
    return {"anyOf": [_prediction(signature), record({"error": {"type": "object"}}, ["error"])]}


def _prediction(signature: Signature) -> Schema:
    if not signature.labels:
        return record({"values": {"type": "array", "items": {"type": "number"}}}, ["values"])
    score = {"type": "number", "minimum": 0, "maximum": 1}
    return record({"label": {"type": "string", "enum": [*signature.labels]}, "score": score}, ["label", "score"])


def record(properties: Schema, required: Sequence[str]) -> Schema:
    """An object with these fields and no other."""
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}
