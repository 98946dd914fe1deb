"""Which results of matched pairs are accepted: the edge of what the bound allows."""

import numpy as np

from onnxserve_export.drop_bound import drop_within


def most_wrong(rows: int, budget: float, level: float, rights: range) -> np.ndarray:
    """How many labels may get wrong beside each number in `rights` that get right, -1 for none; shape (rights,).

    More that get right never allow fewer to get wrong, so the search goes on where it stopped.
    """
    bounds, wrong = [], 0
    for right in rights:
        while wrong + right <= rows and drop_within(budget, wrong, right, rows, level):
            wrong += 1
        bounds.append(wrong - 1)
    return np.array(bounds)
