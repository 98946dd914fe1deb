"""Table rows in, label or values out: lists in column order, or objects by column name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .base import Handler
from .errors import InvalidRow

FLOAT32_MAX = float(np.finfo(np.float32).max)


class TabularClassifier(Handler):
    """Rows are numbers, one for each of the signature's columns."""

    row_keys = ("features", "row", "data")

    def prepare(self) -> None:
        """Remember the columns, in the order of the graph's input."""
        self.columns = self.signature.input.columns
        self.known = frozenset(self.columns)

    def check(self, instance: Any, where: str) -> list[float]:
        """One finite number a column; no column missing, none unknown."""
        if isinstance(instance, dict):
            instance = self._by_name(instance, where)
        if not isinstance(instance, list):
            raise InvalidRow(
                f"expected a list or an object, got {type(instance).__name__}",
                where=where,
                fix=f"send {len(self.columns)} numbers",
            )
        if len(instance) != len(self.columns):
            raise InvalidRow(
                f"{len(instance)} values, {len(self.columns)} are expected",
                where=where,
                fix="columns are " + ", ".join(self.columns),
            )
        return [self._number(value, f"{where}.{name}") for name, value in zip(self.columns, instance, strict=True)]

    def _by_name(self, instance: dict[str, Any], where: str) -> list[Any]:
        unknown, missing = sorted(set(instance) - self.known), [c for c in self.columns if c not in instance]
        if unknown or missing:
            parts = [f"unknown columns {unknown[:5]}"] if unknown else []
            parts += [f"missing columns {missing[:5]}"] if missing else []
            raise InvalidRow(" and ".join(parts), where=where, fix="columns are " + ", ".join(self.columns))
        return [instance[name] for name in self.columns]

    def _number(self, value: Any, where: str) -> float:
        # bool is an int in Python, and a wrong dtype here.
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidRow(f"expected a number, got {type(value).__name__}", where=where)
        # Also false for NaN, and for integers too long for a float.
        if not abs(value) <= FLOAT32_MAX:
            raise InvalidRow("the number is not finite in float32", where=where)
        return float(value)

    def tensors(self, rows: Sequence[list[float]]) -> dict[str, npt.NDArray[np.float32]]:
        """`features`, float32, shape (batch, columns)."""
        return {"features": np.asarray(rows, dtype=np.float32)}
