"""The proof rows that an archive carries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from onnxserve.errors import ArchiveError

from .seal import PROOF, decrypt_member

if TYPE_CHECKING:
    from .offline import Array


class ProofArray(msgspec.Struct, frozen=True):
    """One output of one row, without the batch's dimension; its bytes are in C order, and base64 in JSON."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, array: Array) -> ProofArray:
        """Return an array as JSON can hold it."""
        import numpy as np  # as in `offline`: most commands need no arrays

        return cls(array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes())

    def array(self) -> Array:
        """Return the output in its own shape and dtype."""
        import numpy as np

        return np.frombuffer(self.data, np.dtype(self.dtype)).reshape(self.shape)


class ProofRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One certify row as a client would send it, its label, and the source's outputs by name, the main one first.

    Archives until 0.2 have `output` instead, the numbers of the main one in one list.
    """

    input: Any
    label: Any = None
    outputs: dict[str, ProofArray] = {}
    output: list[float] = []


def read_proof(folder: Path) -> list[ProofRow]:
    """Return the proof rows of an unpacked archive; ArchiveError if it has none."""
    path, sealed = folder / PROOF, folder / f"{PROOF}.age"
    content = path.read_bytes() if path.is_file() else b""
    if sealed.is_file():
        content = decrypt_member(sealed.read_bytes())
    if not (rows := proof_rows(content)):
        raise ArchiveError(
            "the archive carries no proof rows", where=str(folder), fix="export with quantise.proof_rows above 0"
        )
    return rows


def proof_rows(content: bytes) -> list[ProofRow]:
    """Return the rows of `proof.jsonl`."""
    decoder = msgspec.json.Decoder(ProofRow)
    return [decoder.decode(line) for line in content.splitlines()]


def proof_outputs(rows: Sequence[ProofRow]) -> dict[str, Array]:
    """Return the source's outputs for the rows by name, shape (rows, ...); that of former archives is called `output`.

    A row of a former archive is flat.
    """
    import numpy as np

    if not rows[0].outputs:
        return {"output": np.array([row.output for row in rows], np.float32)}
    return {name: np.stack([row.outputs[name].array() for row in rows]) for name in rows[0].outputs}
