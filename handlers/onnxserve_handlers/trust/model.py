"""The model of an unpacked archive: its graph, decrypted where needed, and the golden rows that it must reproduce.

An encrypted graph is decrypted into memory and never written to a disk. `onnxserve.archive` imports this module too. It
imports `pyrage` only when there is something to decrypt. The format is age's, https://age-encryption.org/v1.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..outputs import Outputs, pad

IDENTITY = "ONNXSERVE_IDENTITY"  # path of a file with an age identity
MODEL = "model.onnx"
WEIGHTS = "weights-"  # the name of a file with a large graph's weights begins so
SUFFIX = ".age"
Array = npt.NDArray[Any]
# Whether each row's outputs are what its label says: of outputs, labels, origins, and spreads by output.
Right = Callable[[Outputs, Sequence[Any], Sequence[Any] | None, Mapping[str, Array]], Array]


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
    """Outputs or answers on this machine differ from the proven ones, so the worker must not serve."""


@dataclass(frozen=True)
class GoldenOutput:
    """The source's values of one output, shape (rows, ...); their bytes are in C order, and base64 in JSON.

    `scale` is its spread over many rows: one number for all values of a row, or one for each.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes
    scale: list[float]

    @classmethod
    def of(cls, array: Array, scale: Array) -> GoldenOutput:
        """Return an output as JSON can hold it."""
        return cls(array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes(), scale.tolist())

    def array(self) -> Array:
        """Return the values, shape (rows, ...)."""
        return np.frombuffer(self.data, np.dtype(self.dtype)).reshape(self.shape)


@dataclass(frozen=True)
class Golden:
    """Instances, and the source's outputs for them: `outputs` is the first one, shape (rows, values).

    `scale` is the spread of its outputs over many rows: one number for all outputs, or one for each. Deviations are
    measured in it, and at most `tolerance` is allowed. `others` has the outputs after the first, by name, and `labels`
    what a row's answer must be, None where nobody said; archives until 0.3 have neither.
    """

    instances: list[Any]
    outputs: list[list[float]]
    tolerance: float
    scale: list[float] = field(default_factory=lambda: [1.0])
    others: dict[str, GoldenOutput] = field(default_factory=dict)
    labels: list[Any] = field(default_factory=list)

    def expected(self, first: str) -> dict[str, tuple[Array, Array]]:
        """Return the values and the scale of each output by name; `first` is the first one's."""
        main = np.asarray(self.outputs, np.float64), np.asarray(self.scale, np.float64)
        others = {name: (output.array(), np.asarray(output.scale)) for name, output in self.others.items()}
        return {first: main, **others}


def read_golden(folder: Path) -> Golden:
    """Parse `golden.json` of an unpacked archive."""
    return msgspec.json.decode((folder / "golden.json").read_bytes(), type=Golden)


def check_golden(golden: Golden, run: Callable[[list[Any]], Mapping[str, Array]]) -> float:
    """Return the largest deviation from the source, in spreads, of the rows run together and of each row run alone.

    `run` gives all outputs by name for some instances; where one has a size of its own for each row, shorter rows end
    in zeros. Raises GoldenMismatch beyond the tolerance.
    """
    together, *singles = [run(golden.instances), *(run([instance]) for instance in golden.instances)]
    worst, where = 0.0, ""
    for name, (expected, scale) in golden.expected(next(iter(together))).items():
        if name not in together:
            raise GoldenMismatch(f"the graph has no output {name}, which the golden rows have")
        first, *rest = pad([together[name], *(single[name] for single in singles)])
        for actual in (first, np.concatenate(rest)):
            deviation = _deviation(actual, expected, scale)
            worst, where = max((worst, where), (deviation, name))
    if not worst <= golden.tolerance:
        raise GoldenMismatch(
            f"golden rows deviate from the source's output {where} by {worst:.3g} of its spread, "
            f"{golden.tolerance:.3g} is allowed; export again on this kind of machine or choose another variant"
        )
    return worst


def _deviation(actual: Array, expected: Array, scale: Array) -> float:
    """Return the largest difference in units of `scale`; infinite where sizes differ or a value isn't finite."""
    left, right = (array.reshape(len(expected), -1).astype(np.float64) for array in (actual, expected))
    if left.shape != right.shape:
        return float("inf")
    with np.errstate(invalid="ignore"):  # infinity less infinity
        differences = np.abs(left - right) / scale
    return float(np.nan_to_num(differences, nan=np.inf, posinf=np.inf).max(initial=0.0))


def check_labels(golden: Golden, outputs: Outputs, origins: Sequence[Any] | None, right: Right) -> None:
    """Raise GoldenMismatch if a golden row that has a label gets another answer; `outputs` are those of all rows."""
    rows = [number for number, label in enumerate(golden.labels) if label is not None]
    if not rows:
        return
    own = None if origins is None else [origins[number] for number in rows]
    scales = {name: scale for name, (_, scale) in golden.expected(next(iter(outputs))).items()}
    answers = right(outputs.take(np.array(rows)), [golden.labels[number] for number in rows], own, scales)
    if wrong := [number for number, good in zip(rows, answers, strict=True) if not good]:
        raise GoldenMismatch(
            f"golden row {wrong[0]} is answered otherwise than its label {str(golden.labels[wrong[0]])[:80]!r} says "
            f"({len(wrong)} of {len(rows)} labelled ones are); export again on this kind of machine or choose another "
            "variant"
        )
