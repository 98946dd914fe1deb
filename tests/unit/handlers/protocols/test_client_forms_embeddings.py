"""The widely used form of requests for embeddings, as the gateway passes it on."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inputs.text import TextInput, TextOptions
from onnxserve_handlers.offline import OfflineContext
from onnxserve_handlers.signature import Signature
from onnxserve_handlers.tasks.embedding import Embedding, EmbeddingOptions
from tests.helpers.fakes import FakeSession, signature, with_fake_session
from tests.helpers.kinds import TableClassifier, TextClassifier
from tests.helpers.tokenizer_files import save_tokenizer


class Embedder(TextInput, Embedding, Handler):
    """Texts to vectors."""


class VectorSession(FakeSession):
    """Gives each row the vector (number of its tokens, 4, 0)."""

    def run(self, arrays: Any) -> dict[str, Any]:
        tokens = arrays["attention_mask"].sum(axis=1).astype(np.float32)
        return {"output_0": np.stack([tokens, np.full_like(tokens, 4), np.zeros_like(tokens)], axis=1)}


def embedder(folder: Path, **fields: Any) -> Embedder:
    handler = Embedder()
    handler.folder = save_tokenizer(folder)
    output = EmbeddingOptions(**fields)
    handler.signature = Signature("vectors", "1.0", "", "fp32", TextOptions(max_rows=3), output, (), (), 4)
    handler.session = VectorSession()  # type: ignore[assignment]  # a fake
    handler.prepare()
    return handler


def ask(handler: Any, document: Any, protocol: str = "embeddings", **headers: str) -> tuple[int, Any]:
    context = OfflineContext(Path())
    context.headers = [{"Content-Type": "application/json", "x-onnxserve-protocol": protocol, **headers}]
    [answer] = handler.handle([{"body": json.dumps(document).encode()}], context)
    return context.statuses.get(0, (200, ""))[0], json.loads(answer)


def test_each_text_gets_a_vector_and_tokens_are_counted(tmp_path):
    status, answer = ask(embedder(tmp_path, normalise=False), {"model": "m", "input": ["good", "good film"]})
    assert status == 200
    assert answer == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [3.0, 4.0, 0.0]},
            {"object": "embedding", "index": 1, "embedding": [4.0, 4.0, 0.0]},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


def test_one_text_may_stand_alone_and_vectors_may_be_base64(tmp_path):
    document = {"input": "good", "encoding_format": "base64"}
    status, answer = ask(embedder(tmp_path), document)
    assert (status, answer["model"]) == (200, "vectors")
    vector = np.frombuffer(b64decode(answer["data"][0]["embedding"]), "<f4")
    np.testing.assert_allclose(vector, [0.6, 0.8, 0.0], rtol=1e-6)


def test_a_request_may_cut_vectors_to_a_declared_length(tmp_path):
    handler = embedder(tmp_path, dimensions=(2, 1))
    assert ask(handler, {"input": "good", "dimensions": 1})[1]["data"][0]["embedding"] == [1.0]
    assert ask(handler, {"input": "good", "dimensions": 2})[1]["data"][0]["embedding"] == [0.6, 0.8]
    status, answer = ask(handler, {"input": "good", "dimensions": 3})
    assert (status, answer["error"]["param"]) == (422, "dimensions")
    assert "choose 2, 1" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("document", "status", "param"),
    [
        ({"input": "good", "dimensions": 2}, 422, "dimensions"),
        ({"input": [1, 2]}, 422, "input"),
        ({"input": [[1, 2]]}, 422, "input"),
        ({"input": []}, 400, "input"),
        ({"input": ["a"] * 4}, 413, "input"),
        ({"input": ["good", " "]}, 422, "input[1]"),
        ({"texts": ["good"]}, 400, "body"),
        ({"input": "good", "encoding_format": "int8"}, 400, "body"),
        ([], 400, "body"),
    ],
)
def test_errors_have_the_forms_own_shape(tmp_path, document, status, param):
    answer_status, answer = ask(embedder(tmp_path), document)
    assert (answer_status, answer["error"]["param"]) == (status, param)
    assert answer["error"]["type"] == "invalid_request_error"
    assert answer["error"]["message"]
    assert answer["error"]["code"]


def test_a_model_without_vectors_says_so(tmp_path):
    handler = TextClassifier()
    handler.folder, handler.signature = tmp_path, signature(TextOptions())
    status, answer = ask(handler, {"input": "good"})
    assert (status, answer["error"]["param"]) == (422, "model")


def test_a_request_in_the_plain_form_may_cut_vectors_too(tmp_path):
    document = {"instances": ["good"], "parameters": {"dimensions": 1}}
    handler = embedder(tmp_path, dimensions=(1,))
    assert ask(handler, document, protocol="")[1]["predictions"] == [{"embedding": [1.0]}]


def test_a_length_may_be_written_with_a_point(tmp_path):
    document = {"instances": ["good"], "parameters": {"dimensions": 1.0}}
    status, answer = ask(embedder(tmp_path, dimensions=(1,)), document, protocol="")
    assert (status, answer["predictions"]) == (200, [{"embedding": [1.0]}])


def test_a_table_without_vectors_says_so_even_for_well_formed_rows():
    handler = TableClassifier()
    with_fake_session(handler, columns=("a", "b"))
    handler.prepare()
    status, answer = ask(handler, {"instances": [[1, 2]]})
    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
    assert "input" in answer["error"]["message"]
