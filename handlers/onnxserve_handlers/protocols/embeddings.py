"""The widely used form of requests for embeddings, `POST /v1/embeddings`.

Source: https://platform.openai.com/docs/api-reference/embeddings. Token ids as input are refused: they are another
model's.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import numpy as np

from ..errors import InvalidRow, RequestError, UndecodableBody
from ..request import Request
from ..response import Response, Result
from ..signature import Signature
from ..tasks import Hooks
from .body import Body, decode_json, read_instances

FIELD = "embedding"  # of a prediction
_encode = msgspec.json.Encoder().encode


class EmbeddingsDocument(msgspec.Struct):
    """The fields of a request that matter here."""

    input: Any
    model: str = ""
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None


class EmbeddingsForm:
    """A list of vectors with the tokens that their texts had; errors are the form's own."""

    holds_row_errors = False

    def __init__(self, document: EmbeddingsDocument | None = None, request: Request | None = None) -> None:
        self._document = document or EmbeddingsDocument("")
        self._request = request

    def encode_result(self, result: Result) -> Response:
        """Return the vectors in the order of the texts."""
        encode = to_base64 if self._document.encoding_format == "base64" else list
        data = [
            {"object": "embedding", "index": index, "embedding": encode(prediction[FIELD])}
            for index, prediction in enumerate(result.predictions)
        ]
        tokens = count_tokens(self._request)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        name = self._document.model or result.signature.model
        return Response(_encode({"object": "list", "data": data, "model": name, "usage": usage}))

    def encode_error(self, error: RequestError, signature: Signature) -> Response:  # noqa: ARG002 - a form
        """Return the form's error."""
        return Response(_encode({"error": error_fields(error)}))


def read_embeddings(handler: Hooks, body: Body) -> Request:
    """Read the texts of a request; raises the RequestError that the client gets."""
    document = convert(body, EmbeddingsDocument)
    if FIELD not in handler.signature.output.tensors:
        raise InvalidRow(f"{handler.signature.model} makes no embeddings", where="model", fix="name an embedding model")
    texts = document.input if isinstance(document.input, list) else [document.input]
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRow("expected a text or a list of texts", where="input", fix="send texts instead of token ids")
    instances = read_instances({"instances": texts}, (), handler.signature.input.max_rows)
    parameters = {} if document.dimensions is None else {"dimensions": document.dimensions}
    handler.check_parameters(parameters)
    request = Request(instances, parameters=parameters)
    request.form = EmbeddingsForm(document, request)
    return request


def convert(body: Body, kind: type[Any]) -> Any:
    """Return the body's JSON document as a record; raises UndecodableBody."""
    document = body.decoded if body.content is None else decode_json(body.content)
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise UndecodableBody(str(error), fix="see the model's documentation in /openapi.json") from error


def count_tokens(request: Request | None) -> int:
    """Return the number of tokens of a request's rows; 0 for rows that aren't tokens."""
    rows = (request.rows if request is not None else None) or ()
    return sum(len(row) for row in rows if isinstance(row, list))


def to_base64(vector: list[float]) -> str:
    """Return a vector's numbers as float32, little-endian, in base64."""
    return b64encode(np.asarray(vector, "<f4").tobytes()).decode()


def error_fields(error: RequestError) -> Mapping[str, Any]:
    """Return an error in the form's fields."""
    fields = error.body()
    fix = f" ({fields['fix']})" if "fix" in fields else ""
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    return {"message": f"{fields['reason']}{fix}", "type": kind, "param": fields["where"], "code": fields["type"]}
