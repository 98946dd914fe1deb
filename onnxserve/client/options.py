"""What may be given by name to a client, and to its client of one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from .retry import Retry


class Options(TypedDict, total=False):
    """All fields of `Settings` but the URL; a unit test holds both to each other."""

    key: str
    token: str | Callable[[], str]
    ca: str
    timeout_s: float
    retry: Retry
    rows_per_request: int
    concurrency: int
    grpc: bool
    headers: Mapping[str, str]
    traceparent: Callable[[], str]


class ModelOptions(TypedDict, total=False):
    """What a client of one model may be given: its version, the parameters of each request, and its most rows."""

    version: str
    parameters: Mapping[str, Any] | None
    rows_per_request: int | None
