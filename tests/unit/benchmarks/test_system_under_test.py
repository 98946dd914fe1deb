"""What clients count while a server is disturbed, and what a simulated canary shows."""

import httpx
import pytest

from benchmarks import canary, system_under_test


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(200), "answered"),
        (httpx.Response(200, headers={"x-onnxserve-degraded": "cache"}), "degraded: cache"),
        (httpx.Response(503, json={"error": {"type": "unavailable"}}), "refused: 503 unavailable"),
        (httpx.Response(503, text="oops"), "lost"),
    ],
)
def test_an_answer_without_a_type_counts_as_lost(answer, kind):
    assert system_under_test.kind(answer) == kind


def test_a_simulated_canary_that_fails_is_accused_and_a_harmless_one_is_not():
    calm = canary.DRIFTS["nothing drifts"]
    assert None not in canary.simulate(calm, canary.HARMS["all fail"], 5, 200, 1)
    assert canary.simulate(calm, lambda now: now, 5, 200, 1) == [None] * 5
