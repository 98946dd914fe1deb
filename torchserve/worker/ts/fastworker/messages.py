"""The frontend's messages: load a model, or compute a batch of requests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """Message `L`: the model to load; `gpu` is None on the CPU."""

    name: str
    path: str
    batch_size: int
    handler: str
    gpu: int | None
    envelope: str
    limit_max_image_pixels: bool


class Request:
    """One request of message `I`: headers by name, and parameters as (name, content type, value)."""

    __slots__ = ("headers", "id", "parameters")

    def __init__(self, id_: str, headers: dict[str, str], parameters: list[tuple[str, str, bytearray]]) -> None:
        self.id = id_
        self.headers = headers
        self.parameters = parameters
