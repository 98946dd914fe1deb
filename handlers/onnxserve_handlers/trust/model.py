"""The model of an unpacked archive: its graph, decrypted where needed, and the golden rows that it must reproduce.

An encrypted graph is decrypted into memory and never written to a disk. `onnxserve.archive` imports this module too. It
imports `pyrage` only when there is something to decrypt. The format is age's, https://age-encryption.org/v1.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..outputs import pad

IDENTITY = "ONNXSERVE_IDENTITY"  # path of a file with an age identity
MODEL = "model.onnx"
WEIGHTS = "weights-"  # the name of a file with a large graph's weights begins so
SUFFIX = ".age"


class ArchiveEncrypted(RuntimeError):
    """The archive is encrypted, and this process can't decrypt it."""


def read_model(folder: Path) -> Path | bytes:
    """Return the path of an unpacked archive's graph, or the graph's bytes where it is encrypted."""
    if (folder / MODEL).is_file():
        return folder / MODEL
    encrypted = folder / (MODEL + SUFFIX)
    return decrypt(encrypted.read_bytes(), encrypted.name)


def decrypt(content: bytes, name: str) -> bytes:
    """Return the plain bytes of the member `name`; raises ArchiveEncrypted without a matching identity."""
    identity_path = os.environ.get(IDENTITY)
    if not identity_path:
        raise ArchiveEncrypted(f"{name} is encrypted: set {IDENTITY} to the file with your age identity")
    try:
        import pyrage
    except ModuleNotFoundError as error:
        raise ArchiveEncrypted(f"{name} is encrypted, but pyrage is not installed: pip install pyrage") from error
    try:
        text = Path(identity_path).read_text(encoding="utf-8")
        keys = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        identities = [pyrage.x25519.Identity.from_str(key) for key in keys]
        return bytes(pyrage.decrypt(content, identities))
    except Exception as error:
        raise ArchiveEncrypted(f"{name} can't be decrypted with {identity_path}: {error}") from error


class GoldenMismatch(RuntimeError):
    """Outputs on this machine differ from the proven ones, so the worker must not serve."""


@dataclass(frozen=True)
class Golden:
    """Instances, and torch's outputs for them, shape (rows, outputs).

    `scale` is the spread of torch's outputs over many rows: one number for all outputs, or one for each. Deviations are
    measured in it, and at most `tolerance` is allowed.
    """

    instances: list[Any]
    outputs: list[list[float]]
    tolerance: float
    scale: list[float] = field(default_factory=lambda: [1.0])


def read_golden(folder: Path) -> Golden:
    """Parse `golden.json` of an unpacked archive."""
    return msgspec.json.decode((folder / "golden.json").read_bytes(), type=Golden)


def check_golden(golden: Golden, run: Callable[[list[Any]], npt.NDArray[Any]]) -> float:
    """Return the largest deviation from torch, in spreads, of the rows run together and of each row run alone.

    `run` gives the first output for some instances; where it has a size of its own for each row, shorter rows end in
    zeros. Raises GoldenMismatch beyond the tolerance.
    """
    together, *singles = pad([run(golden.instances), *(run([instance]) for instance in golden.instances)])
    alone = np.concatenate(singles)
    expected, scale = np.asarray(golden.outputs, np.float64), np.asarray(golden.scale, np.float64)
    actual = [outputs.reshape(expected.shape).astype(np.float64) for outputs in (together, alone)]
    worst = max(float((np.abs(outputs - expected) / scale).max()) for outputs in actual)
    # `not <=` also catches NaN, which `max` may drop.
    if not (worst <= golden.tolerance and all(np.isfinite(outputs).all() for outputs in actual)):
        raise GoldenMismatch(
            f"golden rows deviate from the torch model by {worst:.3g} of its outputs' spread, {golden.tolerance:.3g} "
            "is allowed; export again on this kind of machine or choose another variant"
        )
    return worst
