"""The allowed chance of serving a variant beyond the budget, divided over all tests on the same rows.

Variants are tested one after the other, the safest first, until one is refused: a fixed sequence, in which each may be
tested at the whole level, since a wrong acceptance requires that of the first one that is beyond the budget (W. Maurer,
L. Hothorn, W. Lehmacher, "Multiple comparisons in drug clinical trials and preclinical assays: a-priori ordered
hypotheses", 1995). A refusal spends its level, as in the fallback procedure; later tests, of other graphs on the same
rows, take theirs from the rest (J. Tian, A. Ramdas, "Online control of the familywise error rate",
Statistical Methods in Medical Research 30, 2021).

Why the sum of all levels bounds the error: before the k-th graph beyond the budget is tested without an error so far,
the k - 1 before it were refused, so its level is at most the k-th of the series, which falls.
"""

from __future__ import annotations

FAMILYWISE_ERROR = 0.05  # chance of at least one wrong acceptance, over all tests on the same rows
FIRST_LEVEL = 0.04  # the part of it for each test until one refuses


def level_after(refusals: int) -> float:
    """Return the level of a test after `refusals` refusals on the same rows; all levels add up to FAMILYWISE_ERROR."""
    return FIRST_LEVEL if refusals == 0 else (FAMILYWISE_ERROR - FIRST_LEVEL) / (refusals * (refusals + 1))
