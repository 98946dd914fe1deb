"""Forms that clients of other servers send: `POST /v1/embeddings` and `POST /rerank`.

Sources: https://platform.openai.com/docs/api-reference/embeddings, whose token ids are refused, since they are another
model's; https://docs.cohere.com/reference/rerank and https://jina.ai/reranker, which name `documents` and get
`{"results": [...]}`; https://huggingface.github.io/text-embeddings-inference, which names `texts` and gets a list.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from ..errors import BodyTooLarge, InvalidRow, RequestError, UndecodableBody, error_of_kind
from ..request import Request
from ..response import Response, Result
from ..signature import Signature
from ..tasks import Hooks
from .body import Body, decode_json, read_instances
from .v2_http import error_line

FIELD = "embedding"  # of a prediction
RERANK = "rerank"  # the task
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
        """Return the form's error; its places are fields of the request."""
        return Response(_encode({"error": error_fields(error_in(error, {"instances": "input", r"parameters\.": ""}))}))


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


def error_in(error: RequestError, places: Mapping[str, str]) -> RequestError:
    """Return an error whose place and reason name what the client sent; `places` are patterns and replacements."""
    reason, where = error.reason, error.where
    for pattern, name in places.items():
        reason, where = (re.sub(rf"\b{pattern}", name, text) for text in (reason, where))
    return error_of_kind(type(error), reason, where, error.fix)


def error_fields(error: RequestError) -> Mapping[str, Any]:
    """Return an error in the form's fields."""
    fields = error.body()
    fix = f" ({fields['fix']})" if "fix" in fields else ""
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    return {"message": f"{fields['reason']}{fix}", "type": kind, "param": fields["where"], "code": fields["type"]}


class Document(msgspec.Struct):
    """A document as an object."""

    text: str


class RerankDocument(msgspec.Struct):
    """The fields of a request that matter here."""

    query: str
    documents: list[str | Document] | None = None
    texts: list[str] | None = None
    model: str = ""
    top_n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    return_documents: bool = False
    return_text: bool = False

    @property
    def passages(self) -> list[str]:
        """The texts to rank."""
        return [entry if isinstance(entry, str) else entry.text for entry in self.documents or self.texts or ()]


class RerankForm:
    """The documents' places, the most relevant first."""

    holds_row_errors = False

    def __init__(self, document: RerankDocument | None = None, request: Request | None = None) -> None:
        self._document = document or RerankDocument("")
        self._passages = self._document.passages
        self._request = request

    def encode_result(self, result: Result) -> Response:
        """Return the best `top_n` documents, all by default."""
        scores = [prediction["score"] for prediction in result.predictions]
        order = sorted(range(len(scores)), key=lambda index: -scores[index])[: self._document.top_n]
        if self._document.documents is None:
            return Response(_encode([self._text_entry(index, scores[index]) for index in order]))
        entries = [self._document_entry(index, scores[index]) for index in order]
        name = self._document.model or result.signature.model
        usage = {"total_tokens": count_tokens(self._request)}
        return Response(_encode({"model": name, "results": entries, "usage": usage}))

    def encode_error(self, error: RequestError, signature: Signature) -> Response:  # noqa: ARG002 - a form
        """Return the form's error: a message, or with `texts` an error and its type."""
        name = "documents" if self._document.texts is None else "texts"
        named = error_in(error, {r"instances(\[\d+\])\.text_pair": rf"{name}\1", r"instances\[\d+\]\.text": "query"})
        line = error_line(error_in(named, {"instances": name}))
        return Response(
            _encode({"message": line} if name == "documents" else {"error": line, "error_type": error.kind})
        )

    def _document_entry(self, index: int, score: float) -> dict[str, Any]:
        entry = {"index": index, "relevance_score": score}
        return {**entry, "document": {"text": self._passages[index]}} if self._document.return_documents else entry

    def _text_entry(self, index: int, score: float) -> dict[str, Any]:
        entry = {"index": index, "score": score}
        return {**entry, "text": self._passages[index]} if self._document.return_text else entry


def read_rerank(handler: Hooks, body: Body) -> Request:
    """Read a query and its documents as pairs; raises the RequestError that the client gets."""
    document = convert(body, RerankDocument)
    if handler.signature.output.task != RERANK:
        raise InvalidRow(f"{handler.signature.model} ranks no documents", where="model", fix="name a model that does")
    passages, limits = document.passages, handler.signature.input
    if not document.query.strip():
        raise InvalidRow("the query is empty", where="query", fix="send at least one word")
    if not passages:
        name = "documents" if document.texts is None else "texts"
        raise UndecodableBody(f"there are no {name}", where=name, fix=f'send "{name}": ["...", ...]')
    pairs = [{"text": document.query, "text_pair": passage} for passage in passages]
    request = Request(read_instances({"instances": pairs}, (), limits.max_rows))
    # The query is read again with each document, and a body that spells out the pairs would be as long.
    if (size := len(document.query) * len(passages)) > limits.max_bytes:
        reason = f"the query has {size} characters for all documents, at most {limits.max_bytes} are accepted"
        raise BodyTooLarge(reason, where="query", fix="shorten the query, or send fewer documents")
    request.form = RerankForm(document, request)
    return request
