"""Whatever evidence is accepted, of an earlier release or with numbers that JSON doesn't have, is explained."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from onnxserve.archive import Summary, summarise
from onnxserve.archive.evidence_form import check_form
from onnxserve.archive.explanation import TimedEvidence, explain_choice, read_timed_evidence, times, variant_rows
from onnxserve.errors import ArchiveError

PAIRED = {"accuracy": 0.9, "reference_accuracy": 0.91, "drop": 0.01, "bound": 0.02, "flips": 0.03}
RANKING = {"ranking": 0.8, "ranking_drop": 0.01, "ranking_bound": 0.02}
PARITY = {"rows": 30, "golden": 2, "generated": 64, "deviation": 1e-7}
PROFILE = {"certify": 5, "needed": 200, "wanted": 400, "unit": "rows"}
SUMMARIES: dict[str, dict[str, Any]] = {
    "labels": {"task": "labels"},
    "agreement": {"task": "labels", "claim": "agreement"},
    "values": {"task": "regression", "tolerance": 0.1},
    "vectors": {"task": "embedding", **RANKING},
    "spans": {"task": "tokens", "measure": "F1"},
    "spans without labels": {"task": "tokens", "measure": "F1", "claim": "agreement"},
    "documents": {"task": "rerank", "measure": "nDCG", **RANKING},
    "a metric": {"task": "metric.py:score"},
    "parity": {"proof": "parity", "task": "labels", "row_parity": PARITY, "drift_profile": PROFILE},
}


def document_of(summary: dict[str, Any]) -> dict[str, Any]:
    variant = {"variant": "int8", "megabytes": 1.5, "moves": False, "refusal": "", "paired": PAIRED, "select": PAIRED}
    return {
        "summary": {"variant": "int8", "budget": 0.01, "rows": 900, "unit": "rows", **PAIRED, **summary},
        "variants": [variant, {**variant, "variant": "w8", "paired": None}],
        "parity": [{"group": "1", "deviation": 1e-7}],
        "refused": {"w4": "it is slow"},
        "certify": {"earlier": [{"refused": True}]},
        "sensitivity": {"damage": {"node": 0.5, "other": 0.25}},
    }


def damaged(value: Any) -> Iterator[Any]:
    """Yield documents in which a single field is missing or null."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in entries:
        without, empty = copy.copy(value), copy.copy(value)
        del without[key]
        empty[key] = None
        yield from (without, empty)
        for changed in damaged(part):
            whole = copy.copy(value)
            whole[key] = changed
            yield whole


@pytest.fixture
def summary(archive) -> Summary:
    return summarise(archive)


@pytest.mark.parametrize("task", SUMMARIES)
def test_what_the_form_accepts_is_explained(summary, task):
    whole, explained = document_of(SUMMARIES[task]), 0
    for document in (whole, *damaged(whole), {"summary": {}}, {"summary": {}, "variants": [{"variant": "int8"}]}):
        try:
            check_form(document, "circle.mar")
        except ArchiveError:
            continue
        read = replace(summary, evidence=document)
        assert all(sentence.endswith(".") for sentence in explain_choice(read, TimedEvidence(None, "Why.")))
        assert all(len(row) == 7 for row in variant_rows(read, {"int8": 0.5}))
        explained += 1
    assert explained > 40


def test_a_number_that_json_does_not_have_is_unknown(summary):
    numbers = {**PAIRED, "bound": float("inf"), "accuracy": float("nan")}
    document = msgspec.json.decode(msgspec.json.encode(document_of({**SUMMARIES["labels"], **numbers})))
    [_, sentence, *_] = explain_choice(replace(summary, evidence=document), TimedEvidence(None))
    assert "accuracy unknown (source 91.00%), drop at most unknown, 3.00% of answers differ" in sentence


@pytest.mark.parametrize(
    "part", [{"certify": 5}, {"certify": {"earlier": [{}]}}, {"sensitivity": {"damage": [1]}}, {"sensitivity": [1]}]
)
def test_parts_that_only_words_are_made_of_have_a_form_too(part):
    with pytest.raises(ArchiveError, match=rf"as an export writes it: .*{next(iter(part))}"):
        check_form({**document_of({}), **part}, "circle.mar")


def test_times_are_read_from_beside_an_archive_unless_they_are_damaged(summary, tmp_path):
    summary = replace(summary, path=tmp_path / "circle-1.0.0.mar")
    timing = {"variant": "fp32", "threads": 1, "batch": 2, "ms": 0.5}
    document = {**summary.evidence, "served": {"threads": 1, "batch": 2}, "timings": [timing]}
    beside = summary.path.with_suffix(".evidence.json")
    beside.write_bytes(msgspec.json.encode(document))
    assert times(read_timed_evidence(summary)) == {"fp32": 0.5}
    others = {**summary.evidence["summary"], "model_sha256": "f" * 64}
    for damage in ({"served": 1}, {"timings": [{**timing, "ms": "fast"}]}, {"summary": 5}, {"summary": others}):
        beside.write_bytes(msgspec.json.encode({**document, **damage}))
        timed = read_timed_evidence(summary)
        assert (timed.document, times(timed)) == (None, {})
        what = "is of another archive." if damage.get("summary") == others else "is damaged: Expected "
        assert what in explain_choice(summary, timed)[-1]
    beside.write_bytes(b"{")
    assert "circle-1.0.0.evidence.json beside it is damaged: " in read_timed_evidence(summary).reason
    for missing in ("served", "timings"):
        beside.write_bytes(msgspec.json.encode({name: value for name, value in document.items() if name != missing}))
        timed = read_timed_evidence(summary)
        assert (times(timed), timed.reason.partition("and ")[2]) == (
            {},
            "circle-1.0.0.evidence.json beside it has none.",
        )
    beside.unlink()
    assert read_timed_evidence(summary).reason.endswith("beside it, which has them, is not here.")
