"""A copy of a scikit-learn model as its converter takes it: it answers the same, and the graph is made of it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .functions import is_function, write_function
from .model_parts import parts
from .pipeline_columns import is_vectoriser, name_columns, voters
from .text_imputers import is_text_imputer, leave_out_text_imputers
from .word_graphs import write_words


def convertible(model: Any) -> Any:
    """Return a copy of a model for the converter; the model itself where nothing in it has to change."""
    if not any(_changes(part) for part in (model, *parts(model))):
        return model
    model = copy.deepcopy(model)
    leave_out_text_imputers(model)
    name_columns(model)
    for part in (model, *parts(model)):
        if voters(part):
            part.flatten_transform = False  # it shapes `transform` alone, and the converter knows no other value
            part.weights = None if part.weights is None else np.asarray(part.weights)
        if is_vectoriser(part):
            # The handler gives texts in lower case where they want it, and making lower case twice changes nothing.
            part.lowercase = False
            vars(part).pop("stop_words_", None)  # of older versions: words without use, which the converter would drop
        if is_vectoriser(part) or hasattr(part, "sublinear_tf"):
            write_words(part)
        if is_function(part):
            write_function(part)
    return model


def _changes(part: Any) -> bool:
    has_own_field = any(hasattr(part, field) for field in ("transformers_", "sublinear_tf"))
    return has_own_field or any(is_it(part) for is_it in (is_vectoriser, is_text_imputer, is_function, voters))
