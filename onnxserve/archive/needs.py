"""The packages that an archive's handlers import."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

NEEDS = ("msgspec", "numpy", "onnxruntime", "pillow", "tokenizers")


def version_of(name: str) -> str | None:
    """Return the version of an installed package; None if it isn't installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
