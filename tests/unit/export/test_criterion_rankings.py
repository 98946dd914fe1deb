"""Rankings of documents and vectors decide what may serve, and rows that hang together are one observation."""

from __future__ import annotations

import inspect
import tracemalloc

import numpy as np
import pytest

from onnxserve_export.acceptance import Acceptance, Basis, least_rows
from onnxserve_export.flip_estimate import mean_rows_needed
from onnxserve_export.paired_statistics import distance_errors, vector_errors
from onnxserve_export.significance_levels import FIRST_LEVEL
from onnxserve_export.subset import Row, spool
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.tasks.embedding import EmbeddingOptions
from onnxserve_handlers.tasks.rerank import RerankOptions
from tests.unit.export.test_criterion import BUDGET, EDGE, ROWS, TRIES, definition, mixed

DOCUMENTS = Basis(ranks=True, queries=True)


def pairs(queries: int, draws: np.random.Generator) -> tuple[list[Row], Outputs, Outputs]:
    """Rows of three documents a query, the source's outputs, which rank them, and those of a graph that turns them."""
    grades = np.tile([1.0, 0.5, 0.0], queries)
    rows = [
        Row([f"query {index // 3}", f"document {index}"], float(grade))
        for index, grade in enumerate(draws.permuted(grades.reshape(-1, 3), axis=1).ravel())
    ]
    scores = np.array([row.label for row in rows], np.float32)[:, None] * 0.8 + 0.1
    return rows, Outputs(scores=scores), Outputs(scores=1 - scores)


def test_a_reranker_that_loses_the_whole_budget_of_ndcg_is_seldom_accepted(tmp_path):
    """Its queries are turned whole, so rows of one query aren't independent, and the bound counts queries."""
    draws, queries, passes = np.random.default_rng(21), 300, 0
    rows, right, wrong = pairs(queries, draws)
    acceptance = Acceptance(definition(tmp_path, RerankOptions()), rows, right, basis=DOCUMENTS)
    whole = acceptance.compare(wrong)
    assert whole.rows == queries
    assert whole.ranking == pytest.approx(1 - whole.ranking_drop)
    assert 0.3 < whole.ranking_drop < 0.6
    for _ in range(TRIES):
        turned = np.repeat(draws.random(queries) < BUDGET / whole.ranking_drop, 3)
        passes += acceptance.compare(mixed(right, wrong, turned)).ranking_bound <= BUDGET
    assert passes / TRIES <= FIRST_LEVEL + EDGE
    assert acceptance.verdict(acceptance.compare(right)) == ""
    constant = acceptance.compare(Outputs(scores=np.full_like(right["scores"], 0.5)))
    assert constant.ranking_drop > 0.15  # whatever the order of the file


def test_a_reranker_that_keeps_the_order_must_keep_its_scores_too(tmp_path):
    """Clients compare scores with thresholds: halved scores, in the same order, are other answers."""
    draws, queries, passes = np.random.default_rng(25), 300, 0
    rows, right, _ = pairs(queries, draws)
    halved = Outputs(scores=right["scores"] / 2)
    acceptance = Acceptance(definition(tmp_path, RerankOptions(activation="none")), rows, right, basis=DOCUMENTS)
    whole = acceptance.compare(halved)
    assert whole.drop == pytest.approx(0.25)
    assert (whole.ranking, whole.ranking_drop) == (1, 0)
    assert acceptance.verdict(whole).startswith("change of the score 25.00%")
    for _ in range(TRIES):
        moved = np.repeat(draws.random(queries) < BUDGET / whole.drop, 3)
        passes += not acceptance.verdict(acceptance.compare(mixed(right, halved, moved)))
    assert passes / TRIES <= FIRST_LEVEL + EDGE


def test_scores_that_are_no_shares_are_compared_in_spreads(tmp_path):
    rows, right, _ = pairs(300, np.random.default_rng(26))
    logits = Outputs(scores=right["scores"] * 1e-2 - 5)
    acceptance = Acceptance(definition(tmp_path, RerankOptions(activation="none")), rows, logits, basis=DOCUMENTS)
    moved = acceptance.compare(Outputs(scores=(right["scores"] - 0.1) * 1e-2 - 5))
    assert moved.drop > 0.2  # of a spread, though it is 1e-3


@pytest.mark.parametrize("basis", [Basis(), DOCUMENTS, Basis(False, queries=True)])
def test_rows_are_read_one_at_a_time_since_they_may_be_large(tmp_path, basis):
    size = 100_000
    rows = (Row([f"query {number // 2}", "x" * size + str(number)], number % 2) for number in range(ROWS))
    certify = spool((("certify", row) for row in rows), ["certify"], tmp_path / "rows")["certify"]
    outputs = Outputs(scores=np.linspace(0.1, 0.9, ROWS, dtype=np.float32))
    options = definition(tmp_path / "model", RerankOptions())
    Acceptance(options, certify, outputs, basis=basis)  # the first one imports modules
    tracemalloc.start()
    acceptance = Acceptance(options, certify, outputs, basis=basis)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert acceptance.compare(outputs).rows == (ROWS // 2 if basis.ranks or basis.queries else ROWS)
    assert most < ROWS * size / 4


def test_queries_whose_documents_are_all_as_relevant_are_no_rankings(tmp_path):
    rows = [Row(["same", str(number)], 1) for number in range(ROWS)] + [Row(["two", "a"], 1), Row(["two", "b"], 0)]
    outputs = Outputs(scores=np.linspace(0.1, 0.9, len(rows), dtype=np.float32))
    acceptance = Acceptance(definition(tmp_path, RerankOptions()), rows, outputs, basis=DOCUMENTS)
    assert [len(group) for group in acceptance.criterion.groups] == [2]
    assert acceptance.verdict(acceptance.compare(outputs)) != ""  # one ranking certifies nothing


def check_levels(counted, draws, right, wrong, queries):
    """Check that only counting by queries keeps the level where whole queries go wrong at the edge of the budget."""
    documents = len(right["scores"]) // queries
    passes = dict.fromkeys(counted, 0)
    for _ in range(TRIES):
        outputs = mixed(right, wrong, np.repeat(draws.random(queries) < BUDGET, documents))
        for is_query, acceptance in counted.items():
            passes[is_query] += not acceptance.verdict(acceptance.compare(outputs))
    assert passes[False] / TRIES > 2 * FIRST_LEVEL
    assert passes[True] / TRIES <= FIRST_LEVEL + EDGE
    whole = counted[True].compare(wrong)
    assert (whole.rows, whole.drop) == (queries, 1)


def test_a_reranker_that_is_beyond_the_budget_by_whole_queries_is_seldom_accepted_without_labels(tmp_path):
    """Pairs of one query go wrong together: counted one by one, they would certify what a few queries can't."""
    draws, queries, documents = np.random.default_rng(23), 40, 30
    rows = [
        Row([f"query {query}", f"document {number}"], None) for query in range(queries) for number in range(documents)
    ]
    right = Outputs(scores=draws.normal(size=len(rows)).astype(np.float32))
    wrong = Outputs(scores=right["scores"] + 100)
    options = definition(tmp_path, RerankOptions())
    counted = {
        is_query: Acceptance(options, rows, right, basis=Basis(False, queries=is_query)) for is_query in (False, True)
    }
    check_levels(counted, draws, right, wrong, queries)


def by_halves(outputs, labels):
    """A metric of the definition's own, as model.py may have it."""
    return (np.asarray(outputs).reshape(len(labels)) < 50) * 1.0


@pytest.mark.parametrize("quantise", [{"metric": "model.py:by_halves"}, {"task": "regression"}, {"task": "embedding"}])
def test_pairs_of_one_query_are_one_observation_of_a_metric_and_of_another_task_too(tmp_path, quantise):
    draws, queries, documents = np.random.default_rng(27), 60, 20
    rows = [
        Row([f"query {query}", f"document {number}"], 0.5) for query in range(queries) for number in range(documents)
    ]
    right = Outputs(scores=draws.normal(size=(len(rows), 2)).astype(np.float32))
    right["scores"][:, 1] = 1
    if "metric" in quantise:
        right = Outputs(scores=right["scores"][:, 0])
    wrong = Outputs(scores=-right["scores"] + 100 * ("embedding" not in quantise.values()))
    options = definition(tmp_path, RerankOptions(), **quantise)
    code = options.folder / "model.py"
    code.write_text(f"{code.read_text()}\n\nimport numpy as np\n\n{inspect.getsource(by_halves)}")
    counted = {is_query: Acceptance(options, rows, right, basis=Basis(queries=is_query)) for is_query in (False, True)}
    check_levels(counted, draws, right, wrong, queries)
    assert least_rows(options, FIRST_LEVEL, Basis(queries=True)) == mean_rows_needed(BUDGET, FIRST_LEVEL)


def test_vectors_that_are_served_with_their_lengths_must_keep_them(tmp_path):
    draws = np.random.default_rng(24)
    vectors = draws.normal(size=(ROWS, 8)).astype(np.float32) * draws.uniform(0.1, 100, (ROWS, 1)).astype(np.float32)
    vectors[0] = 0
    right, longer = Outputs(vectors=vectors), Outputs(vectors=2 * vectors)
    rows = [Row(number, None) for number in range(ROWS)]
    unit, own = (
        Acceptance(
            definition(tmp_path / name, EmbeddingOptions(normalise=name == "unit")), rows, right, basis=Basis(False)
        )
        for name in ("unit", "own")
    )
    assert unit.compare(longer).drop == 0
    assert own.compare(longer).drop == (ROWS - 1) / ROWS
    assert own.compare(right).drop == 0
    turned = np.roll(vectors, 1, axis=1)
    errors = distance_errors(vectors, turned)
    assert errors[0] == 0
    np.testing.assert_allclose(errors, vector_errors(vectors, turned), atol=1e-6)  # the same for equal lengths


def test_vectors_with_labels_must_keep_both_cosine_and_ndcg(tmp_path):
    """A graph that turns vectors by less than the tolerance, towards another label's, passes by the cosine alone."""
    draws = np.random.default_rng(22)
    sides = np.repeat([[1.0, 0.05], [1.0, -0.05]], 600, axis=0)[draws.permutation(1200)].astype(np.float32)
    rows = [Row(number, "up" if side[1] > 0 else "down") for number, side in enumerate(sides)]
    right, wrong = Outputs(vectors=sides), Outputs(vectors=sides * np.array([1, -1], np.float32))
    options = definition(tmp_path, EmbeddingOptions())
    cosine = Acceptance(options, rows, right, basis=Basis())
    both = Acceptance(options, rows, right, basis=Basis(ranks=True))
    assert cosine.verdict(cosine.compare(wrong)) == ""
    assert both.verdict(both.compare(right)) == ""
    whole = both.compare(wrong)  # all vectors are turned alike, so those of one label are still together
    assert whole.drop == 0
    assert whole.ranking_drop == pytest.approx(0)
    queries = np.arange(1200) % 2 == 1
    lost = both.compare(mixed(right, wrong, queries))
    assert lost.drop == 0
    assert lost.ranking_drop == pytest.approx(1)
    assert both.verdict(lost).startswith("drop of the nDCG 100.00%")
    passes = 0
    for _ in range(TRIES):
        turned = queries & (draws.random(1200) < BUDGET)
        passes += not both.verdict(both.compare(mixed(right, wrong, turned)))
    assert passes / TRIES <= FIRST_LEVEL + EDGE
