"""The packages that an archive's handlers import."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version

from onnxserve_handlers.registry import input_kind

NEEDS = ("msgspec", "numpy", "onnxruntime", "pillow", "tokenizers")


def needs_of(kind: str) -> tuple[str, ...]:
    """Return the packages that an archive of an input kind needs."""
    return (*NEEDS, *input_kind(kind).packages)


def requirements_of(kind: str, *others: str, left_out: Collection[str] = ()) -> str:
    """Return the lines of a requirements.txt: what an archive needs, and `others`, in the versions of this machine."""
    pins = [(name, version_of(name)) for name in (*needs_of(kind), *others) if name not in left_out]
    return "".join(f"{name}=={number}\n" for name, number in pins if number)


def version_of(name: str) -> str | None:
    """Return the version of an installed package; None if it isn't installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
