"""Rows as the body of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from onnxserve.errors import DefinitionError, RowError
from onnxserve_export.plain_values import plain_value


def encode_rows(rows: Sequence[Any], parameters: Mapping[str, Any]) -> bytes:
    """Return the body of a request; what numpy, pandas or torch hold becomes JSON, and bytes become base64.

    RowError for an object that JSON can't hold.
    """
    try:
        document = {"instances": [plain_value(row, "row") for row in rows]}
    except DefinitionError as error:
        raise RowError(type="undecodable_body", reason=error.what, where=error.where, remedy=error.fix) from error
    return msgspec.json.encode(document | ({"parameters": dict(parameters)} if parameters else {}))
