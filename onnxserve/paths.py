"""Where our own files lie: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

INSIDE = Path(__file__).parent
CHECKOUT = INSIDE.parent


def resource(name: str) -> Path:
    """`config.properties`, `worker`, …: a file or folder that the wheel relocates under `onnxserve/`."""
    inside = INSIDE / name
    return inside if inside.exists() else CHECKOUT / name
