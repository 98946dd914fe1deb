"""Whether a version may become stable: an unproven one may only if the user accepts that."""

from __future__ import annotations

from pathlib import Path

from onnxserve.archive.evidence import UNPROVEN, read_proof_kind
from onnxserve.errors import ReleaseError


def check_proven(model: str, version: str, archive: Path) -> None:
    """Raise ReleaseError if nothing stands behind the answers of an archive."""
    if read_proof_kind(archive) == UNPROVEN:
        raise ReleaseError(
            f"{model} {version} is unproven: no rows show how far its answers are from its source's",
            where=str(archive),
            fix="onnxserve archive explain says how many rows would do; --accept-unproven takes the risk",
        )
