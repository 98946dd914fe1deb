"""Libraries that only signed or sealed archives need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from onnxserve.errors import OnnxserveError


def library(name: str) -> Any:
    """The module, or what to install."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise OnnxserveError(f"{error.name} is not installed", fix="pip install 'onnxserve[sign]'") from error
