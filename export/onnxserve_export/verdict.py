"""The answer of an export in one sentence: what serves, by which proof, what it may lose, and how fast it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnxserve.archive.evidence import CERTIFIED, PARITY, proof_of

from .figures import duration, percent, points, times
from .plots import milliseconds, source_of


def verdict(document: Mapping[str, Any]) -> str:
    """Return the sentence; `document` is an archive's evidence, with times if they are known."""
    speed = _speed(document)
    return f"{_standing(document['summary'])}{f', and {speed}' if speed else ''}."


def _standing(summary: Mapping[str, Any]) -> str:
    proof, variant = proof_of(summary), summary.get("variant", "The model")
    if proof == CERTIFIED:
        confidence = f"with 95 % confidence on {summary['rows']} {summary.get('unit', 'rows')}"
        return f"{variant} serves: {_loss(summary)} ({points(summary['budget'])} allowed, {confidence})"
    if proof == PARITY:
        parity = summary["row_parity"]
        count = parity["rows"] + parity["golden"] + parity["generated"]
        return f"{variant} serves by parity: it answers all {count} compared rows as {source_of(summary)} does"
    return f"{variant} is unproven: {summary.get('unproven') or 'nothing stands behind its answers'}"


def _loss(summary: Mapping[str, Any]) -> str:
    """Return what the variant loses at most, by its task."""
    source, bound, tolerance = source_of(summary), summary["bound"], summary.get("tolerance", 0)
    measure, has_truth = summary.get("measure", ""), summary.get("claim", "accuracy") == "accuracy"
    shares = {
        "labels": f"of its answers differ from {source}'s",
        "regression": f"of its rows lie more than {tolerance:g} spreads from {source}'s values",
        "embedding": f"of its vectors turn by more than {tolerance:g} (1 less the cosine)",
    }
    task = summary["task"]
    if task in shares and not (task == "labels" and has_truth):
        return f"at most {percent(bound)} {shares[task]}"
    if task not in shares and measure and not has_truth:
        return f"its mean {measure} beside {source}'s answers is at least {percent(1 - bound)}"
    measured = "accuracy" if task == "labels" else f"mean {measure or 'score'}"
    return f"its {measured} drops by at most {points(bound)} points"


def _speed(document: Mapping[str, Any]) -> str:
    """Return how fast the variant is, empty if nothing was timed."""
    summary, setting = document["summary"], document.get("served") or {}
    rows, source = milliseconds(document, setting.get("batch", 0)), source_of(summary)
    own, reference = rows.get(str(summary.get("variant"))), rows.get(source)
    if not own:
        return ""
    return f"it is {times(reference / own)} {source}" if reference else f"it takes {duration(own)} a row"
