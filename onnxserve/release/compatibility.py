"""Whether clients of one version are understood by another: what the archives accept and give."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onnxserve.archive import read_signature
from onnxserve.errors import OnnxserveError, ReleaseError

FREE = "any"  # an axis that a row or a batch decides


def contract(signature: Mapping[str, Any]) -> dict[str, object]:
    """What clients depend on, by its name: sent columns, keys of the feature store, labels, and the graph's tensors."""
    features = signature.get("features") or {}
    stored = set(features.get("columns", ()))
    columns = signature.get("input", {}).get("columns", ())
    return {
        "columns": [column for column in columns if column not in stored],
        "keys of the feature store": list(features.get("entities", ())),
        "labels": list(signature.get("labels", ())),
        "input tensors": [tensor(one) for one in signature.get("inputs", ())],
        "output tensors": [tensor(one) for one in signature.get("outputs", ())],
    }


def tensor(described: Mapping[str, Any]) -> str:
    """Name, type and shape; a free axis has any name."""
    shape = (str(size) if isinstance(size, int) else FREE for size in described["shape"])
    return f"{described['name']} {described['dtype']} [{', '.join(shape)}]"


def differences(stable: Path, other: Path) -> list[str]:
    """What differs, one line each; nothing where an archive isn't ours, since then nothing is known of it."""
    try:
        before, after = (contract(read_signature(path)) for path in (stable, other))
    except (OnnxserveError, OSError, KeyError, TypeError, AttributeError):
        return []
    return [f"{name}: {before[name]} -> {after[name]}" for name in before if before[name] != after[name]]


def check_same_signature(model: str, stable: Path, other: Path) -> None:
    """ReleaseError that says what differs."""
    changed = differences(stable, other)
    if changed:
        raise ReleaseError(
            f"{model}: another signature than the stable version's" + "".join(f"\n    {line}" for line in changed),
            where=str(other),
            fix="give it another model name, or --other-signature if all clients send what both understand",
        )
