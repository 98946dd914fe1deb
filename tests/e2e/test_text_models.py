"""Texts in other forms than one label: MiniLM as an embedder and as a cross-encoder, and a recurrent classifier.

Each is one export from an artefact of the registry or from seeded weights, served by `onnxserve serve` and scored in a
batch. Its answers are compared with what torch gives for tensors that the test makes itself.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait
from tokenizers import Tokenizer

from onnxserve.errors import OnnxserveError
from onnxserve_export.export import export_model
from onnxserve_export.export_state import ExportState
from onnxserve_export.options import ExportOptions
from onnxserve_export.steps import STEPS
from tests.helpers.batch_jobs import read, run
from tests.helpers.browser import WAIT_S, asked, chromium
from tests.helpers.minilm import TEXTS, cross_encoder, embedder
from tests.helpers.recurrent import recurrent
from tests.helpers.serving import Serving, serving, settings_in

TOLERANCE = 2e-5
QUERY = "how can I return a parcel"
KINDS = {"minilm": embedder, "cross": cross_encoder, "recurrent": recurrent}
States = Mapping[str, ExportState]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("text-store")


@pytest.fixture(scope="module")
def states(store: Path, tmp_path_factory: pytest.TempPathFactory) -> States:
    models, options = tmp_path_factory.mktemp("text-models"), ExportOptions(draft=True)
    return {
        name: export_model(write(models), store, STEPS, lambda _: None, options=options)
        for name, write in KINDS.items()
    }


@pytest.fixture(scope="module")
def server(states: States, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("text-server")
    settings = settings_in(folder / "server", sorted(store.glob("*.mar")))
    with serving(settings, folder, "--warm-up", "0") as running:
        yield running


def post(server: Serving, path: str, document: Any) -> httpx.Response:
    return httpx.post(f"{server.url}{path}", json=document, trust_env=False, timeout=60)


def answered(server: Serving, path: str, document: Any) -> Any:
    answer = post(server, path, document)
    assert answer.status_code == 200, answer.text
    return answer.json()


def expected(state: ExportState, *texts: str) -> np.ndarray:
    """Return torch's main output for one text, or for the pair of two, tokenised here and alone in its batch."""
    tokenizer = Tokenizer.from_str(state.assets["tokenizer.json"].decode())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encoding = tokenizer.encode(texts[0], texts[1] if len(texts) > 1 else None)
    arrays = {"input_ids": encoding.ids, "attention_mask": encoding.attention_mask, "token_type_ids": encoding.type_ids}
    required = [spec.name for spec in state.model.inputs if spec.required]
    [output, *_] = state.model.run({name: np.array([arrays[name]], np.int64) for name in required}).values()
    return np.asarray(output[0], np.float64)


def vector(state: ExportState, text: str) -> np.ndarray:
    mean = expected(state, text).mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean))


def relevance(state: ExportState, query: str, document: str) -> float:
    return float(1 / (1 + np.exp(-expected(state, query, document)[0])))


def test_embeddings_equal_the_sources_alone_and_beside_longer_texts(server, states):
    answer = answered(server, "/predictions/minilm", {"instances": [*TEXTS]})
    for text, prediction in zip(TEXTS, answer["predictions"], strict=True):
        np.testing.assert_allclose(prediction["embedding"], vector(states["minilm"], text), atol=TOLERANCE)


def test_a_client_of_the_widely_used_form_gets_the_same_vectors(server, states):
    document = {"model": "minilm", "input": [*TEXTS[:2]], "encoding_format": "base64"}
    answer = answered(server, "/v1/embeddings", document)
    vectors = [np.frombuffer(base64.b64decode(entry["embedding"]), "<f4") for entry in answer["data"]]
    for text, actual in zip(TEXTS, vectors, strict=False):
        np.testing.assert_allclose(actual, vector(states["minilm"], text), atol=TOLERANCE)
    assert float(vectors[0] @ vectors[1]) > 0.6, "two sentences that say the same"
    assert answer["usage"]["total_tokens"] == 7 + 7
    refused = post(server, "/v1/embeddings", {"model": "minilm", "input": "", "encoding_format": "base64"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_row")
    assert post(server, "/v1/embeddings", {"model": "cross", "input": "x"}).status_code == 422


def test_documents_are_ranked_by_the_scores_of_their_pairs(server, states):
    document = {"model": "cross", "query": QUERY, "documents": [*TEXTS], "return_documents": True}
    results = answered(server, "/rerank", document)["results"]
    scores = [relevance(states["cross"], QUERY, text) for text in TEXTS]
    assert [entry["index"] for entry in results] == sorted(range(len(TEXTS)), key=lambda index: -scores[index])
    for entry in results:
        assert entry["relevance_score"] == pytest.approx(scores[entry["index"]], abs=TOLERANCE)
        assert entry["document"]["text"] == TEXTS[entry["index"]]
    assert len(answered(server, "/v1/rerank", {**document, "top_n": 2})["results"]) == 2


def test_a_pair_that_is_too_long_is_cut_at_the_second_texts_end(server, states):
    long = "a parcel " * 100
    [prediction] = answered(server, "/predictions/cross", {"text": QUERY, "text_pair": long})["predictions"]
    kept = " ".join(long.split()[: 64 - 3 - len(QUERY.split())])
    assert prediction["score"] == pytest.approx(relevance(states["cross"], QUERY, kept), abs=TOLERANCE)


def test_both_forms_are_in_the_openapi_document(server):
    paths = httpx.get(f"{server.url}/openapi.json", trust_env=False, timeout=30).json()["paths"]
    schema = paths["/rerank"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["model"]["enum"] == ["cross"]
    assert "/v1/embeddings" in paths


def test_the_playground_has_a_field_for_each_text_of_a_pair(server, states):
    port = int(server.settings.gateway_file.read_text().partition("metrics_port = ")[2].split()[0])
    with chromium() as page:
        page.get(f"http://127.0.0.1:{port}/console/")
        WebDriverWait(page, WAIT_S).until(lambda shown: shown.find_elements(By.CSS_SELECTOR, "#play-model option"))
        Select(page.find_element(By.ID, "play-model")).select_by_visible_text("cross")
        for name, text in (("text", QUERY), ("text_pair", TEXTS[3])):
            field = page.find_element(By.CSS_SELECTOR, f"#play-row [name={name}]")
            field.clear()
            field.send_keys(text)
        answer: Any = asked(page)
    assert answer["predictions"][0]["score"] == pytest.approx(
        relevance(states["cross"], QUERY, TEXTS[3]), abs=TOLERANCE
    )


def test_pairs_are_scored_from_two_columns_of_a_file(states, store, tmp_path):
    columns = {"id": [1, 2, 3], "question": [QUERY] * 3, "text_pair": [TEXTS[2], " ", TEXTS[3]]}
    pq.write_table(pa.table(columns), tmp_path / "pairs.parquet")
    run(store / "cross-1.0.0.mar", tmp_path / "pairs.parquet", tmp_path / "out", columns={"text": "question"})
    scored = read(tmp_path / "out")
    first, bad, last = scored["score"].to_pylist()
    assert first == pytest.approx(relevance(states["cross"], QUERY, TEXTS[2]), abs=TOLERANCE)
    assert last == pytest.approx(relevance(states["cross"], QUERY, TEXTS[3]), abs=TOLERANCE)
    assert bad is None
    assert "the text is empty" in scored["error"].to_pylist()[1]


def test_texts_of_a_recurrent_model_run_only_beside_texts_of_their_length(server, states):
    texts = ["good", "a good film", "the end was very bad", "bad", "a very bad plot was the end"]
    answer = answered(server, "/predictions/recurrent", {"instances": texts, "parameters": {"top_k": 0}})
    for text, prediction in zip(texts, answer["predictions"], strict=True):
        logits = expected(states["recurrent"], text)
        scores = np.exp(logits) / np.exp(logits).sum()
        assert prediction["scores"]["yes"] == pytest.approx(scores[1], abs=TOLERANCE)


def test_a_recurrent_model_is_refused_with_padding_and_the_remedy_named(tmp_path):
    options = ExportOptions(draft=True)
    with pytest.raises(OnnxserveError) as raised:
        export_model(recurrent(tmp_path, "padded"), tmp_path / "store", STEPS, lambda _: None, options=options)
    assert 'batch = "equal"' in str(raised.value)
