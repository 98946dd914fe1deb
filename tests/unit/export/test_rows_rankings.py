"""Documents of one query stay together, and where labels rank them certificates count queries."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from onnxserve.definition import Definition, QuantiseSection, read_definition
from onnxserve.scaffold import new_model
from onnxserve_export.options import ExportOptions
from onnxserve_export.plan import describe_plan, make_plan
from onnxserve_export.records import Split
from onnxserve_export.rows import split_rows, with_rankings
from onnxserve_export.subset import Row
from onnxserve_handlers.registry import task_for
from onnxserve_handlers.tasks.embedding import EmbeddingOptions
from onnxserve_handlers.tasks.rerank import RerankOptions

HOOKS = task_for(RerankOptions())
QUERIES = 300


@pytest.fixture
def definition(tmp_path) -> Definition:
    base = read_definition(new_model("text", "reranker", tmp_path / "models", "rerank"))
    return msgspec.structs.replace(base, quantise=QuantiseSection(max_accuracy_drop=0.05))


def pairs(grade: float | None = 1.0, documents: int = 4) -> list[Row]:
    return [
        Row([f"query {query}", f"document {number}"], grade if number == 0 or grade is None else 0.0)
        for query in range(QUERIES)
        for number in range(documents)
    ]


def split(folder: Path, rows: list[Row]) -> Split:
    return split_rows(rows, folder / "rows", HOOKS.query_of)


def test_the_documents_of_a_query_lie_in_one_subset(tmp_path):
    rows_split = split(tmp_path, pairs())
    places = [{row.value[0] for row in subset} for subset in rows_split.subsets.values()]
    assert sum(map(len, places)) == len(set.union(*places)) == QUERIES
    assert rows_split.total == 4 * QUERIES
    assert min(map(len, places)) > 5


def test_labels_that_rank_documents_make_the_certificate_count_queries(definition, tmp_path):
    rows_split = with_rankings(split(tmp_path, pairs()), definition, HOOKS)
    certify = len(rows_split.certify) // 4
    assert (rows_split.ranks, rows_split.unit, rows_split.units("certify")) == (True, "queries", certify)
    plan = make_plan(definition, rows_split, ExportOptions(), HOOKS)
    assert plan.certify == certify
    text = " ".join(describe_plan(plan, definition, rows_split, HOOKS))
    assert "labels are judged by the nDCG at 10 of queries whose documents differ in relevance" in text
    assert f"wants {plan.needed} certify queries, about {plan.wanted} queries in all" in text
    assert f"there are {certify}" in text


@pytest.mark.parametrize("rows", [pairs(None), pairs(0.0)])
def test_without_labels_that_differ_within_a_query_queries_are_counted_all_the_same(definition, tmp_path, rows):
    rows_split = with_rankings(split(tmp_path, rows), definition, HOOKS)
    certify = len(rows_split.certify) // 4
    assert (rows_split.ranks, rows_split.unit, rows_split.units("certify")) == (False, "queries", certify)
    plan = make_plan(definition, rows_split, ExportOptions(), HOOKS)
    assert plan.certify == certify
    lines = describe_plan(plan, definition, rows_split, HOOKS)
    assert "rows of one query are judged together, by the mean of their scores" in lines


def test_queries_of_one_document_each_are_rows(definition, tmp_path):
    rows_split = with_rankings(split(tmp_path, pairs(documents=1)), definition, HOOKS)
    assert (rows_split.ranks, rows_split.unit, rows_split.units("certify")) == (False, "rows", len(rows_split.certify))


def test_a_budget_of_disagreement_asks_for_the_source_and_counts_queries(definition, tmp_path):
    limited = msgspec.structs.replace(definition, quantise=QuantiseSection(max_disagreement=0.05))
    rows_split = with_rankings(split(tmp_path, pairs()), limited, HOOKS)
    assert (rows_split.ranks, rows_split.unit) == (False, "queries")


def test_vectors_whose_labels_repeat_are_searched_and_counted_as_rows(definition, tmp_path):
    vectors = msgspec.structs.replace(definition, output=EmbeddingOptions())
    hooks = task_for(EmbeddingOptions())
    topics = [Row(f"text {number}", f"topic {number % 7}") for number in range(600)]
    ranked = with_rankings(split_rows(topics, tmp_path / "1", hooks.query_of), vectors, hooks)
    assert (ranked.ranks, ranked.unit, ranked.units("certify")) == (True, "rows", len(ranked.certify))
    alone = [Row(f"text {number}", f"only {number}") for number in range(600)]
    assert not with_rankings(split_rows(alone, tmp_path / "2", hooks.query_of), vectors, hooks).ranks
    hardly = [Row(f"text {number}", f"only {number // 2 if number < 60 else number}") for number in range(600)]
    assert not with_rankings(split_rows(hardly, tmp_path / "3", hooks.query_of), vectors, hooks).ranks
    plan, without = (make_plan(vectors, kept, ExportOptions(), hooks) for kept in (ranked, unranked(ranked)))
    assert plan.needed > without.needed  # both claims must be provable


def unranked(ranked: Split) -> Split:
    return Split(ranked.fit, ranked.calibrate, ranked.select, ranked.certify, ranked.duplicates)
