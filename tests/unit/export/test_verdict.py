"""The first sentence of a report."""

from typing import Any

import pytest

from onnxserve_export.verdict import verdict

CERTIFIED: dict[str, Any] = {
    "proof": "certified", "variant": "int8", "source": "torch", "task": "labels", "claim": "accuracy", "measure": "",
    "bound": 0.0092, "budget": 0.01, "rows": 698, "unit": "rows", "tolerance": 0.03,
}  # fmt: skip
TIMES = {
    "served": {"threads": 1, "batch": 16},
    "timings": [
        {"variant": "int8", "threads": 1, "batch": 16, "ms": 0.4},
        {"variant": "torch", "threads": 1, "batch": 16, "ms": 2.48},
    ],
}


def sentence(**changes: Any) -> str:
    return verdict({"summary": {**CERTIFIED, **changes}}).replace("\u00a0", " ")


def test_it_says_what_serves_what_it_loses_and_how_fast_it_is():
    assert verdict({"summary": CERTIFIED, **TIMES}) == (
        "int8 serves: its accuracy drops by at most 0.92 points (1.00 allowed, with 95 % confidence on 698 rows), "
        "and it is 6.2 times as fast as torch."
    )


@pytest.mark.parametrize(
    ("changes", "loss"),
    [
        ({"claim": "agreement"}, "at most 0.92 % of its answers differ from torch's"),
        ({"task": "regression"}, "at most 0.92 % of its rows lie more than 0.03 spreads from torch's values"),
        ({"task": "embedding"}, "at most 0.92 % of its vectors turn by more than 0.03 (1 less the cosine)"),
        ({"task": "measure", "measure": "F1 of the spans"}, "its mean F1 of the spans drops by at most 0.92 points"),
        (
            {"task": "measure", "measure": "F1 of the spans", "claim": "agreement"},
            "its mean F1 of the spans beside torch's answers is at least 99.08 %",
        ),
        ({"bound": -1e-9}, "its accuracy drops by at most 0.00 points"),
    ],
)
def test_a_loss_is_told_by_the_task(changes, loss):
    assert sentence(**changes).startswith(f"int8 serves: {loss} (1.00 allowed, ")


def test_parity_and_nothing_proven_have_sentences_of_their_own():
    parity = {"rows": 60, "golden": 2, "generated": 64}
    assert sentence(proof="parity", row_parity=parity) == (
        "int8 serves by parity: it answers all 126 compared rows as torch does."
    )
    assert sentence(proof="unproven", unproven="only 3 rows") == "int8 is unproven: only 3 rows."
    assert verdict({"summary": {"proof": "unproven"}}) == "The model is unproven: nothing stands behind its answers."


def test_a_time_stands_alone_where_the_source_was_not_timed():
    timings = TIMES["timings"][:1]  # type: ignore[index]
    document = {"summary": CERTIFIED, **TIMES, "timings": timings}
    assert verdict(document).replace("\u00a0", " ").endswith(", and it takes 400 µs a row.")
