"""The settings that may be given to a client by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypedDict

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
