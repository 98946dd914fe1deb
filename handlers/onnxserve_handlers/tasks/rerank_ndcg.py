"""Rankings: how well scores put relevant documents first, as the normalised discounted cumulative gain (nDCG).

K. Järvelin, J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20 (2002).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
CUT = 10  # documents of a ranking that count


def ndcg(scores: Array, gains: Array, cut: int = CUT) -> float:
    """Return the nDCG of the first `cut` documents in the order of their scores, from 0 to 1; both (documents,).

    Documents with equal scores share the places that they take together, so that no order of the file decides: F.
    McSherry, M. Najork, "Computing information retrieval performance measures efficiently in the presence of tied
    scores", ECIR (2008). 1 where no document has a gain.
    """
    discounts = np.zeros(len(gains))
    discounts[:cut] = 1 / np.log2(np.arange(2, min(cut, len(gains)) + 2))
    best = float(np.sort(gains)[::-1] @ discounts)
    if best <= 0:
        return 1.0
    _, places, counts = np.unique(-scores, return_inverse=True, return_counts=True)
    starts = np.cumsum(counts) - counts
    summed = np.concatenate([[0.0], np.cumsum(discounts)])
    shared = (summed[starts + counts] - summed[starts]) / counts
    return float(min(1.0, gains @ shared[places.reshape(-1)] / best))


def ndcg_of_groups(groups: Sequence[npt.NDArray[np.intp]], scores: Array, gains: Array) -> Array:
    """Return the nDCG of each group of documents, shape (groups,); a group is the indices of its documents."""
    return np.array([ndcg(scores[group], gains[group]) for group in groups], np.float64)
