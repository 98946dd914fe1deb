"""Whether two versions have the same signature, so that clients of one can be answered by the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onnxserve.archive import read_signature
from onnxserve.errors import OnnxserveError, ReleaseError

RULES = ("type", "minimum", "maximum", "categories", "unknown", "nullable")  # of a column, which clients depend on
FREE = "any"  # an axis whose size the row or the batch decides


def contract(signature: Mapping[str, Any]) -> dict[str, object]:
    """Return what clients depend on: the columns they send, feature store keys, labels, and the graph's tensors."""
    features = signature.get("features") or {}
    stored = set(features.get("columns", ()))
    columns = signature.get("input", {}).get("columns", ())
    return {
        "columns": [text for name, text in map(describe_column, columns) if name not in stored],
        "keys of the feature store": list(features.get("entities", ())),
        "labels": list(signature.get("output", {}).get("labels", ())),
        "input tensors": [describe_tensor(tensor) for tensor in signature.get("inputs", ())],
        "output tensors": [describe_tensor(tensor) for tensor in signature.get("outputs", ())],
    }


def describe_column(column: str | Mapping[str, Any]) -> tuple[str, str]:
    """Return a column's name, and the name with the values that it takes."""
    if isinstance(column, str):
        return column, column
    rules = {field: value for field, value in column.items() if field in RULES}
    return column["name"], " ".join([column["name"], *(f"{field}={value}" for field, value in rules.items())])


def describe_tensor(tensor: Mapping[str, Any]) -> str:
    """Return a tensor's name, type and shape as text; every free axis is `any`."""
    shape = (str(size) if isinstance(size, int) else FREE for size in tensor["shape"])
    return f"{tensor['name']} {tensor['dtype']} [{', '.join(shape)}]"


def differences(stable: Path, other: Path) -> list[str]:
    """Return what differs, one line each; none if neither archive has a signature to compare."""
    before, after = contract_of(stable), contract_of(other)
    if before is None or after is None:
        return [] if before is after else [f"signature: {knowledge(before)} -> {knowledge(after)}"]
    return [f"{name}: {before[name]} -> {after[name]}" for name in before if before[name] != after[name]]


def contract_of(archive: Path) -> dict[str, object] | None:
    """Return the contract of an archive; None if it has no signature, such as a migrated one."""
    try:
        return contract(read_signature(archive))
    except (OnnxserveError, OSError, KeyError, TypeError, AttributeError):
        return None


def knowledge(signature: dict[str, object] | None) -> str:
    """Return how a difference calls an archive's signature."""
    return "known" if signature else "unknown"


def check_same_signature(model: str, stable: Path, other: Path) -> None:
    """Raise ReleaseError with the differences if the signatures differ."""
    changed = differences(stable, other)
    if changed:
        raise ReleaseError(
            f"{model}: the signature differs from that of the stable version"
            + "".join(f"\n    {line}" for line in changed),
            where=str(other),
            fix="give it another model name, or --other-signature if all clients send requests that both accept",
        )
