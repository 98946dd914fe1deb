"""Paths of our own files: beside the package in a checkout, inside the package in a wheel."""

from __future__ import annotations

from pathlib import Path

INSIDE = Path(__file__).parent
CHECKOUT = INSIDE.parent


def resource(name: str) -> Path:
    """Return the path of a file or folder, such as `config.properties`, which a wheel has inside `onnxserve/`."""
    inside = INSIDE / name
    return inside if inside.exists() else CHECKOUT / name
