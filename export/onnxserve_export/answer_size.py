"""Whether the largest request that the signature allows gets an answer that the server can send."""

from __future__ import annotations

import msgspec

from onnxserve.config.properties import read_properties
from onnxserve.config.settings import default_file
from onnxserve_handlers.response import DEFAULT_MAX_RESPONSE_BYTES

from .arrays import Array
from .work import Work

SAMPLE = 256  # rows
REST = 512  # bytes of an answer beside its rows, about


def largest_answer() -> int:
    """Bytes that a server with our configuration sends at most in one answer."""
    properties = read_properties(default_file("config.properties"))
    return int(properties.get("max_response_size", DEFAULT_MAX_RESPONSE_BYTES))


def row_bytes(outputs: Array) -> int:
    """Bytes of a row in the longest form, V2's tensors in JSON: the longest of the first rows' outputs."""
    return max(len(msgspec.json.encode(row.reshape(-1).tolist())) for row in outputs[:SAMPLE])


def unreachable(work: Work) -> str:
    """What is said if `input.max_rows` allows requests whose answers are too large to be sent; else empty."""
    each, allowed, limit = row_bytes(work.reference), work.definition.input.max_rows, largest_answer()
    size, fitting = each * allowed + REST, max(1, (limit - REST) // each)
    if size <= limit:
        return ""
    return (
        f"input.max_rows allows {allowed} rows, whose answer has about {size:,} bytes as tensors in JSON; the server "
        f"sends at most {limit:,}, so a request of more than {fitting} rows may get 507: set input.max_rows = "
        f"{fitting}, or raise max_response_size in config.properties"
    )
