"""Step choose: the fastest candidate among those that may serve.

The place for the full search (mixed precision, Pareto front): it would add candidates before
`measure` and reasons here; the other steps stay.
"""

from __future__ import annotations

from onnxserve.errors import CheckFailed

from .run import time_graphs
from .step import Step
from .work import Candidate, Work

# A slower but more exact candidate wins unless the other is faster by more than timing noise.
NOISE = 0.05
TIMED_GROUPS = 4


def call(work: Work) -> None:
    """Time what passed, interleaved, at the batch size to be served, and take the fastest."""
    passed = {result.variant: result for result in work.measured if not result.refusal}
    fit = [candidate for candidate in work.candidates if candidate.variant in passed]
    if not fit:
        reasons = "; ".join(f"{result.variant}: {result.refusal}" for result in work.measured)
        raise CheckFailed(
            "choose",
            f"no variant passes ({reasons})",
            "at least one",
            fix="add fp32 to quantise.variants, raise quantise.max_accuracy_drop, or give more rows",
        )
    times = time_graphs([candidate.path for candidate in fit], work.groups.certify[:TIMED_GROUPS])
    work.timings = {candidate.variant: times[candidate.path] for candidate in fit}
    work.chosen = fastest(fit, work.timings, {name: result.deviation for name, result in passed.items()})
    table = ", ".join(f"{variant} {ms:.3f} ms/row" for variant, ms in work.timings.items())
    work.say(f"      {table}; chosen: {work.chosen.variant}")


def fastest(fit: list[Candidate], times: dict[str, float], deviations: dict[str, float]) -> Candidate:
    """The most exact of those within `NOISE` of the fastest."""
    limit = min(times.values()) * (1 + NOISE)
    near = [candidate for candidate in fit if times[candidate.variant] <= limit]
    return min(near, key=lambda candidate: deviations[candidate.variant])


STEP = Step("choose", ("candidates", "measured", "groups"), ("timings", "chosen"), call)
