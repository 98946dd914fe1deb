"""The widely used forms of reranking: a query and documents.

With `documents` (Cohere, Jina) the answer is `{"results": [...]}`, with `texts` (Text Embeddings Inference) a list.
Sources: https://docs.cohere.com/reference/rerank, https://jina.ai/reranker and
https://huggingface.github.io/text-embeddings-inference.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from ..errors import InvalidRow, RequestError, UndecodableBody
from ..request import Request
from ..response import Response, Result
from ..signature import Signature
from ..tasks import Hooks
from .body import Body, read_instances
from .embeddings import convert, count_tokens
from .v2_http import error_line

TASK = "rerank"
_encode = msgspec.json.Encoder().encode


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
        if self._document.texts is not None:
            return Response(_encode({"error": error_line(error), "error_type": error.kind}))
        return Response(_encode({"message": error_line(error)}))

    def _document_entry(self, index: int, score: float) -> dict[str, Any]:
        entry = {"index": index, "relevance_score": score}
        text = self._document.passages[index]
        return {**entry, "document": {"text": text}} if self._document.return_documents else entry

    def _text_entry(self, index: int, score: float) -> dict[str, Any]:
        entry = {"index": index, "score": score}
        return {**entry, "text": self._document.passages[index]} if self._document.return_text else entry


def read_rerank(handler: Hooks, body: Body) -> Request:
    """Read a query and its documents as pairs; raises the RequestError that the client gets."""
    document = convert(body, RerankDocument)
    if handler.signature.output.task != TASK:
        raise InvalidRow(f"{handler.signature.model} ranks no documents", where="model", fix="name a model that does")
    if not document.passages:
        raise UndecodableBody("there are no documents", where="documents", fix='send "documents": ["...", ...]')
    pairs = [{"text": document.query, "text_pair": passage} for passage in document.passages]
    request = Request(read_instances({"instances": pairs}, (), handler.signature.input.max_rows))
    request.form = RerankForm(document, request)
    return request
