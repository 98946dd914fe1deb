"""Rows as a client sends them, from what a program has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from onnxserve.client.rows import refuse_single_row
from onnxserve.errors import DefinitionError, RowError
from onnxserve_export.plain_values import plain_value


def plain_rows(rows: Iterable[Any]) -> Iterator[Any]:
    """Yield rows in JSON's types, and bytes; what numpy, pandas or torch hold becomes numbers, texts and lists.

    TypeError for what isn't a series of rows; RowError for the first row with an object that JSON can't hold.
    """
    refuse_single_row(rows)
    for number, row in enumerate(rows):
        try:
            plain = plain_value(row, f"instances[{number}]")
        except DefinitionError as error:
            raise RowError(
                type="undecodable_body", reason=error.what, where=error.where, remedy=error.fix, row=number
            ) from error
        yield plain
