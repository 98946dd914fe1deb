"""How large a request may be: a file of the kind, or a row of the largest size as JSON has it."""

from __future__ import annotations

import math

from onnxserve_handlers.signature import InputOptions

from .outline import Outline

FILE = 8 * 2**20  # bytes of a photo or of half a minute of sound in base64; more than a server takes unless it is told
NUMBER = 26  # characters of a float64 with its comma


def read_body_size(outline: Outline) -> None:
    """Let a request have as many bytes as a row of the model needs, where the default is for texts."""
    match outline.get("input.kind"):
        case "image" | "audio":
            outline.add("input.max_bytes", FILE, "for files in base64")
        case "tensors":
            needed = sum(NUMBER * math.prod(sizes) for sizes in _sizes(outline))
            if needed > InputOptions().max_bytes:
                why = "for a row as JSON; as raw tensors it has a fraction of that"
                outline.add("input.max_bytes", min(FILE, 2 ** math.ceil(math.log2(needed))), why)
        case _:
            pass


def _sizes(outline: Outline) -> list[list[int]]:
    return [
        [size if isinstance(size, int) else int(outline.get(f"input.limits.{size}", 1)) for size in tensor["shape"]]
        for tensor in outline.get("input.tensors", [])
    ]
