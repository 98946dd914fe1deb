"""The service level objective of a load test, and how a run can miss it."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Objective:
    """Maximum share of failed requests, and maximum p99 in milliseconds."""

    max_failures: float = 0.0
    p99_ms: float = 500.0


def objective() -> Objective:
    """Read the objective from SLO_FAILURES and SLO_P99_MS, or use the defaults."""
    return Objective(float(os.environ.get("SLO_FAILURES", "0")), float(os.environ.get("SLO_P99_MS", "500")))


def breaches(name: str, requests: int, failures: int, p99_ms: float, limit: Objective) -> list[str]:
    """Return how one line of the statistics misses the objective, in words; a line without requests misses it too."""
    if requests == 0:
        return [f"{name}: no request was sent"]
    reasons = []
    if failures / requests > limit.max_failures:
        reasons.append(f"{name}: {failures} of {requests} requests failed, {limit.max_failures:.2%} may")
    if p99_ms > limit.p99_ms:
        reasons.append(f"{name}: p99 is {p99_ms:g} ms, {limit.p99_ms:g} ms are allowed")
    return reasons
