"""What a model takes and gives as JSON schemas, from its archive or from a running server's OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from onnxserve.archive import read_signature, unpack_trusted
from onnxserve.archive.offline import read_schemas
from onnxserve.archive.read import NAME, NAME_FIX
from onnxserve.errors import ArchiveError, ServerError
from onnxserve.scratch import Scratch

Schema = dict[str, Any]


@dataclass(frozen=True)
class ModelContract:
    """A model's name, the schemas of a row, of its prediction and of a request's parameters, and the most rows."""

    name: str
    row: Schema
    prediction: Schema
    max_rows: int
    parameters: dict[str, Schema] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a name that could be more than a name in source code."""
        if not NAME.fullmatch(self.name):
            raise ArchiveError(f"{self.name!r} isn't a valid name of a model", fix=NAME_FIX)


def archive_contract(path: Path) -> ModelContract:
    """Return what an archive's own handler says of itself; ArchiveError if it can't."""
    signature = read_signature(path)
    with Scratch() as scratch:
        unpack_trusted(path, scratch)
        schemas = read_schemas(scratch)
    return ModelContract(
        str(signature["model"]),
        schemas["row"],
        prediction_alone(schemas["prediction"]),
        int(signature["input"]["max_rows"]),
        dict(schemas.get("parameters", {})),
    )


def server_contract(document: bytes, model: str) -> ModelContract:
    """Return what an OpenAPI document says of a model; ServerError if it lacks the model or its schemas."""
    try:
        openapi = msgspec.json.decode(document, type=dict[str, Any])
        paths = msgspec.convert(openapi["paths"], dict[str, Any])
    except (msgspec.DecodeError, KeyError) as error:
        raise ServerError(f"not an OpenAPI document: {error}", fix="give the URL of the gateway (--url)") from error
    path = f"/predictions/{model}"
    if path not in paths:
        known = sorted(name.removeprefix("/predictions/") for name in paths if name.startswith("/predictions/"))
        raise ServerError(
            f"the server describes no model {model!r}",
            where="/openapi.json",
            fix=f"choose {', '.join(known)}" if known else "load a model, or give an archive's path",
        )
    try:
        return _described(openapi, model, paths[path]["post"])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        fix = "its handler was written for TorchServe: ask with onnxserve.Client, whose rows are any JSON"
        raise ServerError(f"the rows of {model!r} are unknown", where="/openapi.json", fix=fix) from error


def _described(openapi: Schema, model: str, operation: Schema) -> ModelContract:
    request = operation["requestBody"]["content"]["application/json"]["schema"]["anyOf"][0]["properties"]
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
    return ModelContract(
        model,
        openapi["components"]["schemas"][f"{model}.row"],
        prediction_alone(answer["predictions"]["items"]),
        int(request["instances"]["maxItems"]),
        dict(request.get("parameters", {}).get("properties", {})),
    )


def prediction_alone(schema: Schema) -> Schema:
    """Return a prediction's schema without the error that may stand in its place."""
    alternatives = schema.get("anyOf", [schema])
    rest = [entry for entry in alternatives if [*entry.get("properties", {})] != ["error"]]
    return dict(rest[0]) if len(rest) == 1 else {"anyOf": rest}
