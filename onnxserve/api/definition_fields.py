"""Fields of a definition as a program gives them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onnxserve.locations.location import is_function, is_prediction_log, is_remote

Section = str | Mapping[str, Any]  # a section of model.toml; or its kind or its task alone


def definition_fields(  # noqa: PLR0913 - each is a field or a section
    *,
    name: str = "",
    version: str = "",
    input: Section | None = None,  # noqa: A002 - the field's name
    output: Section | None = None,
    budget: float | None = None,
    quantise: Mapping[str, Any] | None = None,
    serve: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the fields that were given, as `model.toml` has them."""
    sections = {
        "input": {"kind": input} if isinstance(input, str) else dict(input or {}),
        "output": {"task": output} if isinstance(output, str) else dict(output or {}),
        "quantise": {**(quantise or {}), **({} if budget is None else {"max_accuracy_drop": budget})},
        "serve": dict(serve or {}),
    }
    names = {"name": name, "version": version}
    return {field: value for field, value in (names | sections).items() if value}


def rows_place(rows: str | os.PathLike[str]) -> str:
    """Return the place of rows as a definition in any folder names it: a path of this machine is absolute."""
    text = os.fspath(rows)
    is_place = is_remote(text) or is_function(text) or is_prediction_log(text)
    return text if is_place else str(Path(text).absolute())
