"""The order in which candidates are certified: the safest first, and each faster than those before it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from .records import Measured

# A slower but safer candidate wins unless the other is faster by more than timing noise.
NOISE = 0.05


def order_candidates(
    measured: Sequence[Measured], ms: Mapping[str, float], budget: float, equal: Collection[str] = ()
) -> tuple[list[Measured], dict[str, str]]:
    """Return the candidates worth certifying, and why the others aren't; nothing here may use the certify rows' labels.

    One that isn't faster than a safer one would never serve. One that the select rows expect to be refused would only
    spend the level that others need. The safest is certified in any case. Variants that are `equal` to the source need
    no certificate, so they come first.
    """
    order = sorted(measured, key=lambda result: (result.variant not in equal, result.risk, result.deviation))
    kept: list[Measured] = []
    left: dict[str, str] = {}
    for result in order:
        if kept and result.likely_bound > budget:
            left[result.variant] = (
                f"not tried: the select rows foresee a bound of {result.likely_bound:.2%}, {budget:.2%} is allowed"
            )
        elif kept and ms[result.variant] * (1 + NOISE) >= ms[kept[-1].variant]:
            left[result.variant] = "not tried: a safer one is as fast"
        else:
            kept.append(result)
    return kept, left
