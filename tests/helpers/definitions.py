"""Definitions of small models whose answers are numbers."""

from __future__ import annotations

REGRESSION = """name = "{name}"
version = "1.0.0"
source = "model.py:load"
rows = "model.py:rows"

[input]
kind = "table"
columns = ["x", "y"]
{inputs}
[output]
task = "regression"

[quantise]
variants = ["fp32"]
max_accuracy_drop = 0.1
{quantise}
"""


def regression_toml(name: str, *, inputs: str = "", quantise: str = "") -> str:
    """Return the model.toml of a regression on two columns; lines of `inputs` and `quantise` are added to the tables.

    `quantise` may begin further tables.
    """
    return REGRESSION.format(name=name, inputs=inputs, quantise=quantise)
