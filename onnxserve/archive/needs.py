"""The packages that an archive's handlers import."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from onnxserve_handlers.registry import input_kind
from onnxserve_handlers.runtime.session import BUILD, PLUGIN

NEEDS = ("msgspec", "numpy", "onnxruntime", "pillow", "tokenizers")
PROVIDERS = {"openvino": (BUILD, PLUGIN)}  # packages that bring a provider


def needs_of(kind: str, provider: str = "") -> tuple[str, ...]:
    """Return the packages that an archive of an input kind needs, and those of which one brings its provider."""
    return (*NEEDS, *input_kind(kind).packages, *PROVIDERS.get(provider, ()))


def requirements_of(kind: str, *others: str, provider: str = "", left_out: Collection[str] = ()) -> str:
    """Return the lines of a requirements.txt: what an archive needs, and `others`, in the versions of this machine."""
    pins = [(name, version_of(name)) for name in (*needs_of(kind, provider), *others) if name not in left_out]
    return "".join(f"{name}=={number}\n" for name, number in pins if number)


def provider_of(server_config: dict[str, Any]) -> str:
    """Return the execution provider that an archive asks for, `auto` if it names none."""
    return str((server_config.get("handler") or {}).get("provider", "auto"))


def version_of(name: str) -> str | None:
    """Return the version of an installed package; None if it isn't installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
