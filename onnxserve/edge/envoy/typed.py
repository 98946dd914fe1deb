"""Envoy's way of naming what a piece of configuration is."""

from __future__ import annotations

from typing import Any

Resource = dict[str, Any]
PREFIX = "type.googleapis.com/"


def typed(kind: str, **fields: Any) -> Resource:
    """A `google.protobuf.Any` in JSON."""
    return {"@type": PREFIX + kind, **fields}


def extension(name: str, kind: str, **fields: Any) -> Resource:
    """A named extension with its configuration."""
    return {"name": name, "typed_config": typed(kind, **fields)}


def seconds(value: float) -> str:
    """A duration as protobuf writes it."""
    return f"{value:.3f}s"


def percent(value: float) -> Resource:
    """A share in millionths, the finest that Envoy knows."""
    return {"numerator": round(value * 10_000), "denominator": "MILLION"}


def header(name: str, value: str) -> Resource:
    """A header that is set, whatever was there before."""
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
