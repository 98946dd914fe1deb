"""What an unpacked archive records of its proof, which a repeated one is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from onnxserve.archive import folder_signature, read_proof
from onnxserve.archive.evidence import EVIDENCE
from onnxserve.archive.proof import ProofRow, proof_outputs
from onnxserve_handlers.outputs import FreeAxis, Outputs

from .arrays import Arrays
from .deviation import recorded_scale, scale_of


@dataclass(frozen=True)
class RecordedProof:
    """The signature, the evidence's summary, the proof rows, the source's outputs for them, and units of deviations."""

    signature: dict[str, Any]
    summary: dict[str, Any]
    rows: list[ProofRow]
    reference: Outputs
    scales: Arrays

    @property
    def free_axes(self) -> list[FreeAxis]:
        """The free axes beside the batch of the graph's outputs."""
        return [
            FreeAxis(tensor["name"], axis, size)
            for tensor in self.signature["outputs"]
            for axis, size in enumerate(tensor["shape"])
            if axis and isinstance(size, str)
        ]


def read_record(folder: Path) -> RecordedProof:
    """Read an unpacked archive; ArchiveError if it has no proof rows."""
    rows = read_proof(folder)
    reference = Outputs(proof_outputs(rows))
    summary = msgspec.json.decode((folder / EVIDENCE).read_bytes())["summary"]
    return RecordedProof(folder_signature(folder), summary, rows, reference, scales_of(folder, reference))


def scales_of(folder: Path, reference: Arrays) -> Arrays:
    """Return the units of deviations: the recorded one of the main output, and the spreads of the others."""
    first = next(iter(reference))
    return {
        name: recorded_scale(folder, array) if name == first else scale_of(array) for name, array in reference.items()
    }
