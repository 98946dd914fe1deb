"""Check that the server can send the answer to the largest request that the signature allows."""

from __future__ import annotations

import msgspec

from onnxserve.torchserve.properties import read_properties
from onnxserve.torchserve.settings import default_file
from onnxserve_handlers.response import DEFAULT_MAX_RESPONSE_BYTES

from .arrays import Arrays
from .export_state import ExportState

SAMPLE = 256  # rows
ENVELOPE = 512  # bytes of an answer beside its rows, about


def largest_answer() -> int:
    """Return the most bytes that a server with our configuration sends in one answer."""
    properties = read_properties(default_file("config.properties"))
    return int(properties.get("max_response_size", DEFAULT_MAX_RESPONSE_BYTES))


def row_bytes(outputs: Arrays) -> int:
    """Return the bytes of the longest of the first SAMPLE rows, written as V2's tensors in JSON, the longest form."""
    rows = zip(*(array[:SAMPLE] for array in outputs.values()), strict=True)
    return max(sum(len(msgspec.json.encode(part.reshape(-1).tolist())) for part in row) for row in rows)


def unreachable(state: ExportState) -> str:
    """Return a warning if `input.max_rows` allows requests whose answers are too large to send; else an empty text."""
    each, allowed, limit = row_bytes(state.probe_reference), state.definition.input.max_rows, largest_answer()
    size, fitting = each * allowed + ENVELOPE, max(1, (limit - ENVELOPE) // each)
    if size <= limit:
        return ""
    return (
        f"input.max_rows allows {allowed} rows, whose answer has about {size:,} bytes as tensors in JSON; the server "
        f"sends at most {limit:,}, so a request of more than {fitting} rows may get 507: set input.max_rows = "
        f"{fitting}, or raise max_response_size in config.properties"
    )
