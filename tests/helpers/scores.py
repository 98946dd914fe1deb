"""Scores by label, as a source gives them, beside a served prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def same(prediction: Any, scores: Mapping[str, float], tolerance: float = 1e-4) -> bool:
    """Return whether a prediction has the best label of the source, and its score."""
    best = max(scores, key=lambda name: scores[name])
    return bool(prediction["label"] == best and abs(prediction["score"] - scores[best]) < tolerance)
