"""What the frontend says: load a model, or answer a batch of requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .fields import END_BYTES, text

NEVER = END_BYTES * 2  # no parameter begins so


@dataclass(frozen=True)
class Load:
    """Message `L`: the model to load, `gpu` None on CPU."""

    name: str
    path: str
    batch_size: int
    handler: str
    gpu: int | None
    envelope: str
    limit_max_image_pixels: bool


class Headers:
    """A block of packed headers; requests whose blocks are the same bytes share one, unpacked at most once."""

    __slots__ = ("_found", "_packed", "kind", "name", "parameter", "properties")

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._found: dict[str, str] | None = None
        # Name and content type of the only parameter that came with it last, packed and unpacked.
        self.parameter = NEVER
        self.name = ""
        self.kind = ""
        self.properties: dict[str, Any] | None = None  # kept by the context

    def unpack(self) -> dict[str, str]:
        """The headers as the client spelt them; a repeated name keeps its last value. Not to be changed."""
        if self._found is None:
            found, at = {}, 0
            while at < len(self._packed):
                name, at = text(self._packed, at)
                found[name], at = text(self._packed, at)
            self._found = found
        return self._found


class Request:
    """One request of message `I`; a parameter is (name, content type, value)."""

    __slots__ = ("headers", "id", "parameters")

    def __init__(self, id_: str, headers: Headers, parameters: list[tuple[str, str, bytearray]]) -> None:
        self.id = id_
        self.headers = headers
        self.parameters = parameters
