"""Texts in other forms than one label: MiniLM as an embedder and as a cross-encoder, a premise and a hypothesis, and a
recurrent classifier. Their answers are compared with what torch gives for tensors that the test makes itself.
"""

from __future__ import annotations

import base64
import contextlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from onnxserve.errors import OnnxserveError
from tests.helpers import plain_http, premises, recurrent
from tests.helpers.batch_jobs import read, run
from tests.helpers.minilm import TEXTS, relevance, vector
from tests.helpers.modules import load_module
from tests.helpers.real_models import archive_of, run_command
from tests.helpers.scores import same
from tests.helpers.serving import Serving

TOLERANCE = 2e-5
QUERY = "how can I return a parcel"
SHORT = ("good", "a good film", "the end was very bad", "bad", "a very bad plot was the end")


def post(server: Serving, path: str, document: Any) -> httpx.Response:
    return plain_http.post(f"{server.url}{path}", json=document, timeout=60)


def answered(server: Serving, path: str, document: Any) -> Any:
    answer = post(server, path, document)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def recurrent_scores(artefacts) -> Any:
    """A function from a text to the probabilities that the recurrent network gives it alone."""
    network, tokenizer = load_module(artefacts / "recurrent.py").load().eval(), recurrent.tokenizer()

    def scores(text: str) -> dict[str, float]:
        with torch.inference_mode():
            [logits] = network(torch.tensor([tokenizer.encode(text).ids]))
        return dict(zip(recurrent.LABELS, logits.softmax(0).tolist(), strict=True))

    return scores


def test_embeddings_equal_the_sources_alone_and_beside_longer_texts(real_models):
    answer = answered(real_models, "/predictions/minilm", {"instances": [*TEXTS]})
    for text, prediction in zip(TEXTS, answer["predictions"], strict=True):
        np.testing.assert_allclose(prediction["embedding"], vector(text), atol=TOLERANCE)


def test_a_client_of_the_widely_used_form_gets_the_same_vectors(real_models):
    document = {"model": "minilm", "input": [*TEXTS[:2]], "encoding_format": "base64"}
    answer = answered(real_models, "/v1/embeddings", document)
    vectors = [np.frombuffer(base64.b64decode(entry["embedding"]), "<f4") for entry in answer["data"]]
    for text, given in zip(TEXTS, vectors, strict=False):
        np.testing.assert_allclose(given, vector(text), atol=TOLERANCE)
    assert float(vectors[0] @ vectors[1]) > 0.6, "two sentences that say the same"
    assert answer["usage"]["total_tokens"] == 7 + 7
    refused = post(real_models, "/v1/embeddings", {"model": "minilm", "input": "", "encoding_format": "base64"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_row")
    assert post(real_models, "/v1/embeddings", {"model": "cross", "input": "x"}).status_code == 422


def test_documents_are_ranked_by_the_scores_of_their_pairs(real_models):
    document = {"model": "cross", "query": QUERY, "documents": [*TEXTS], "return_documents": True}
    results = answered(real_models, "/rerank", document)["results"]
    scores = [relevance(QUERY, text) for text in TEXTS]
    assert [entry["index"] for entry in results] == sorted(range(len(TEXTS)), key=lambda index: -scores[index])
    for entry in results:
        assert entry["relevance_score"] == pytest.approx(scores[entry["index"]], abs=TOLERANCE)
        assert entry["document"]["text"] == TEXTS[entry["index"]]
    assert len(answered(real_models, "/v1/rerank", {**document, "top_n": 2})["results"]) == 2


def test_a_pair_that_is_too_long_is_cut_at_the_second_texts_end(real_models):
    long = "a parcel " * 100
    [prediction] = answered(real_models, "/predictions/cross", {"text": QUERY, "text_pair": long})["predictions"]
    kept = " ".join(long.split()[: 64 - 3 - len(QUERY.split())])
    assert prediction["score"] == pytest.approx(relevance(QUERY, kept), abs=TOLERANCE)


def test_both_forms_are_in_the_openapi_document(real_models):
    paths = plain_http.get(f"{real_models.url}/openapi.json", timeout=30).json()["paths"]
    schema = paths["/rerank"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["model"]["enum"] == ["cross"]
    assert "/v1/embeddings" in paths


def test_pairs_are_scored_from_two_columns_of_a_file(artefacts, tmp_path):
    columns = {"id": [1, 2, 3], "question": [QUERY] * 3, "text_pair": [TEXTS[2], " ", TEXTS[3]]}
    pq.write_table(pa.table(columns), tmp_path / "pairs.parquet")
    run(archive_of(artefacts, "cross"), tmp_path / "pairs.parquet", tmp_path / "out", columns={"text": "question"})
    scored = read(tmp_path / "out")
    first, bad, last = scored["score"].to_pylist()
    assert first == pytest.approx(relevance(QUERY, TEXTS[2]), abs=TOLERANCE)
    assert last == pytest.approx(relevance(QUERY, TEXTS[3]), abs=TOLERANCE)
    assert bad is None
    assert "the text is empty" in scored["error"].to_pylist()[1]


def scored(artefacts: Path, model: str, columns: dict[str, list[str]], out: Path) -> list[dict[str, Any]]:
    """Return a row of the job's result for each row of a table."""
    path = out.with_suffix(".parquet")
    pq.write_table(pa.table({"id": [*range(len(next(iter(columns.values()))))], **columns}), path)
    run(archive_of(artefacts, model), path, out)
    rows: list[dict[str, Any]] = read(out).to_pylist()
    assert [row["error"] for row in rows] == [None] * len(rows)
    return rows


def test_a_table_of_texts_is_scored_with_the_same_vectors(artefacts, tmp_path):
    rows = scored(artefacts, "minilm", {"text": [*TEXTS]}, tmp_path / "vectors")
    for text, row in zip(TEXTS, rows, strict=True):
        np.testing.assert_allclose(json.loads(row["prediction"])["embedding"], vector(text), atol=TOLERANCE)


def test_premises_get_the_answers_of_the_saved_folder_served_and_scored(real_models, artefacts, tmp_path):
    scores = partial(premises.scores, artefacts)
    pairs = [("good film", "the bad"), ("bad", "the film the good"), ("film", "film")]
    predictions = real_models.predictions("premises", [[*pair] for pair in pairs])
    rows = scored(
        artefacts, "premises", {"text": [a for a, _ in pairs], "text_pair": [b for _, b in pairs]}, tmp_path / "pairs"
    )
    for pair, prediction, row in zip(pairs, predictions, rows, strict=True):
        assert same(prediction, scores(*pair), TOLERANCE)
        assert same({"label": row["prediction"], "score": row["score"]}, scores(*pair), TOLERANCE)


def test_texts_of_a_recurrent_model_run_only_beside_texts_of_their_length(
    real_models, artefacts, recurrent_scores, tmp_path
):
    predictions = real_models.predictions("recurrent", SHORT, top_k=0)
    rows = scored(artefacts, "recurrent", {"text": [*SHORT]}, tmp_path / "short")
    for text, prediction, row in zip(SHORT, predictions, rows, strict=True):
        known = recurrent_scores(text)
        assert prediction["scores"]["yes"] == pytest.approx(known["yes"], abs=TOLERANCE)
        assert same({"label": row["prediction"], "score": row["score"]}, known, TOLERANCE)


def test_a_recurrent_model_is_refused_with_padding_and_the_remedy_named(tmp_path):
    with contextlib.chdir(tmp_path), pytest.raises(OnnxserveError, match='batch = "equal"'):
        run_command(recurrent.command(tmp_path, "padded"))
