"""Steps of scikit-learn that fill in missing texts: a graph has none, since a tensor of texts has no missing value."""

from __future__ import annotations

from typing import Any

from .model_parts import parts

IDENTITY = "passthrough"


def leave_out_text_imputers(model: Any) -> None:
    """Let steps that fill in texts do nothing.

    The converter refuses such steps where NaN means missing. The handler gives texts without gaps, on which these steps
    do nothing in scikit-learn either.
    """
    for part in [model, *parts(model)]:
        if hasattr(part, "steps") and (rest := [entry for entry in part.steps if not is_text_imputer(entry[1])]):
            part.steps = rest  # the converter knows no IDENTITY here
        if hasattr(part, "transformers_"):
            part.transformers_ = [
                (name, IDENTITY if is_text_imputer(step) else step, columns)
                for name, step, columns in part.transformers_
            ]


def is_text_imputer(step: Any) -> bool:
    """Return whether a step fills in texts alone, in place of NaN or None, and adds no column that says where."""
    fillings = getattr(step, "statistics_", None)
    if type(step).__name__ != "SimpleImputer" or fillings is None or step.indicator_ is not None:
        return False
    return not isinstance(step.missing_values, str) and all(isinstance(filling, str) for filling in fillings)
