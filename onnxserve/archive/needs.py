"""The packages that an archive's handlers import."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from onnxserve_handlers.registry import input_kind

NEEDS = ("msgspec", "numpy", "onnxruntime", "pillow", "tokenizers")


def needs_of(kind: str) -> tuple[str, ...]:
    """Return the packages that an archive of an input kind needs."""
    return (*NEEDS, *input_kind(kind).packages)


def version_of(name: str) -> str | None:
    """Return the version of an installed package; None if it isn't installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
