"""The widely used forms of reranking, as the gateway passes them on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inputs.text import TextInput, TextOptions
from onnxserve_handlers.signature import Signature
from onnxserve_handlers.tasks.rerank import Rerank, RerankOptions
from tests.helpers.fakes import FakeSession
from tests.helpers.tokenizer_files import save_tokenizer

from .test_client_forms_embeddings import ask, embedder


class Reranker(TextInput, Rerank, Handler):
    """Pairs to scores."""


class LengthSession(FakeSession):
    """Gives each pair a tenth of its number of tokens."""

    def run(self, arrays: Any) -> dict[str, Any]:
        return {"output_0": (arrays["attention_mask"].sum(axis=1) / 10).astype(np.float32)[:, None]}


@pytest.fixture
def reranker(tmp_path: Path) -> Any:
    handler = Reranker()
    handler.folder = save_tokenizer(tmp_path)
    rows, output = TextOptions(pairs=True, max_rows=3, max_bytes=300), RerankOptions(activation="none")
    handler.signature = Signature("ranks", "1.0", "", "fp32", rows, output, (), (), 4)
    handler.session = LengthSession()  # type: ignore[assignment]  # a fake
    handler.prepare()
    return handler


DOCUMENTS = ["film", "good good film", {"text": "good film"}]


def test_documents_come_by_relevance(reranker):
    status, answer = ask(reranker, {"model": "m", "query": "good", "documents": DOCUMENTS}, "rerank")
    assert status == 200
    assert [entry["index"] for entry in answer["results"]] == [1, 2, 0]
    assert answer["results"][0] == {"index": 1, "relevance_score": pytest.approx(0.7)}
    assert (answer["model"], answer["usage"]) == ("m", {"total_tokens": 18})


def test_the_best_may_be_asked_for_with_their_texts(reranker):
    document = {"query": "good", "documents": DOCUMENTS, "top_n": 2, "return_documents": True}
    answer = ask(reranker, document, "rerank")[1]
    assert [entry["document"] for entry in answer["results"]] == [{"text": "good good film"}, {"text": "good film"}]


def test_texts_get_a_list(reranker):
    document = {"query": "good", "texts": ["film", "good film"], "return_text": True}
    status, answer = ask(reranker, document, "rerank")
    assert status == 200
    assert [(entry["index"], entry["text"]) for entry in answer] == [(1, "good film"), (0, "film")]
    assert "text" not in ask(reranker, {"query": "good", "texts": ["film"]}, "rerank")[1][0]


@pytest.mark.parametrize(
    ("document", "status", "reason"),
    [
        ({"query": "good", "documents": []}, 400, "no documents"),
        ({"documents": ["film"]}, 400, "query"),
        ({"query": "good", "documents": ["film"], "top_n": 0}, 400, "top_n"),
        ({"query": "good", "documents": ["film"] * 4}, 413, "4 rows, at most 3"),
        ({"query": "good " * 25, "documents": ["film"] * 3}, 413, "query: the query has 375 characters for all"),
        ({"query": " ", "documents": ["film"]}, 422, "query: the query is empty"),
        ({"query": "good", "documents": ["film", " "]}, 422, "documents[1]: the text is empty"),
    ],
)
def test_errors_are_a_message(reranker, document, status, reason):
    answer_status, answer = ask(reranker, document, "rerank")
    assert answer_status == status
    assert list(answer) == ["message"]
    assert reason in answer["message"]


def test_errors_of_texts_name_their_type(reranker):
    status, answer = ask(reranker, {"query": "good", "texts": [" "]}, "rerank")
    assert (status, answer["error_type"]) == (422, "invalid_row")


def test_an_empty_list_is_called_by_the_name_that_the_client_gave_it(reranker):
    _, answer = ask(reranker, {"query": "good", "texts": []}, "rerank")
    assert answer["message"].startswith("undecodable_body: texts: there are no texts")


def test_a_model_that_ranks_nothing_says_so(tmp_path):
    status, answer = ask(embedder(tmp_path), {"query": "good", "documents": ["film"]}, "rerank")
    assert status == 422
    assert "ranks no documents" in answer["message"]


def test_a_pair_may_be_two_tensors_of_texts(reranker):
    texts = [{"name": name, "shape": [2], "datatype": "BYTES", "data": data} for name, data in
             (("text", ["good", "film"]), ("text_pair", ["film", "good film"]))]  # fmt: skip
    status, answer = ask(reranker, {"inputs": texts}, "v2")
    assert status == 200
    assert answer["outputs"][0]["data"] == pytest.approx([0.5, 0.6])
    assert [output["name"] for output in answer["outputs"]] == ["output_0", "score"]
