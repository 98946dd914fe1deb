"""The gate: which figures of a run break the objective."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Objective:
    """Share of requests that may fail, and milliseconds that 99 of 100 must keep."""

    max_failures: float = 0.0
    p99_ms: float = 500.0


def objective() -> Objective:
    """SLO_FAILURES and SLO_P99_MS, else the defaults."""
    return Objective(float(os.environ.get("SLO_FAILURES", "0")), float(os.environ.get("SLO_P99_MS", "500")))


def breaches(name: str, requests: int, failures: int, p99_ms: float, limit: Objective) -> list[str]:
    """What one line of the statistics breaks, in words; a run without requests proves nothing."""
    if requests == 0:
        return [f"{name}: no request was sent"]
    reasons = []
    if failures / requests > limit.max_failures:
        reasons.append(f"{name}: {failures} of {requests} requests failed, {limit.max_failures:.2%} may")
    if p99_ms > limit.p99_ms:
        reasons.append(f"{name}: p99 is {p99_ms:g} ms, {limit.p99_ms:g} ms are allowed")
    return reasons
