"""Rows of the prediction log: what clients sent to a served version.

They have no labels, since nobody has checked the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from onnxserve.definition import Definition
from onnxserve.errors import DefinitionError, MonitorError
from onnxserve.locations.location import PREDICTIONS
from onnxserve.monitoring.predictions import read_logged

LOG = Path(".onnxserve") / "predictions"
COLUMNS = ("input", "redacted")


def read_logged_rows(definition: Definition, say: Callable[[str], None]) -> Iterator[tuple[Any, None]]:
    """Yield the rows that were logged whole; DefinitionError if the log has none of them."""
    model, _, version = definition.rows.location.removeprefix(PREDICTIONS).partition("/")
    log = Path(definition.rows.log) if definition.rows.log else LOG
    where = str(log / model / version)
    try:
        tables = {name: table for name, table in read_logged(log, model, COLUMNS) if version in ("", name)}
    except MonitorError as error:
        raise DefinitionError(error.what, where=error.where, fix=error.fix) from error
    answered = sum(table.num_rows for table in tables.values())
    if not answered:
        fix = "check the version, and serve it for a while with [predictions] percent in gateway.toml"
        raise DefinitionError("no answered row is logged", where=where, fix=fix)
    whole = sum(_is_whole(table).count(True) for table in tables.values())
    if not whole:
        raise DefinitionError(
            f"the log has {answered} predictions, and the row of none of them",
            where=where,
            fix="set [predictions] inputs = true and redact = [] in gateway.toml; images and tensors are never logged",
        )
    say(f"      {whole} of {answered} logged rows; the others were redacted or not kept")
    for table in tables.values():
        for text, is_whole in zip(table["input"].to_pylist(), _is_whole(table), strict=True):
            if is_whole:
                yield msgspec.json.decode(text), None


def _is_whole(table: pa.Table) -> list[bool]:
    rows = zip(table["input"].to_pylist(), table["redacted"].to_pylist(), strict=True)
    return [text is not None and not redacted for text, redacted in rows]
