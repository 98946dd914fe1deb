"""Where our own files lie: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

INSIDE = Path(__file__).parent
CHECKOUT = INSIDE.parent


def resource(name: str) -> Path:
    """`handlers`, `config.properties`, …: a file or folder that the wheel relocates under `onnxserve/`."""
    inside = INSIDE / name
    return inside if inside.exists() else CHECKOUT / name


def module(name: str) -> str:
    """The import name of a relocated package: `export` in a checkout, `onnxserve.export` in a wheel."""
    return f"onnxserve.{name}" if find_spec(f"onnxserve.{name}") else name
