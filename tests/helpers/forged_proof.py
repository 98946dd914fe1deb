"""A proof that says other answers than the graph of its archive gives."""

import msgspec

from onnxserve.archive.proof import ProofArray, ProofRow, proof_rows


def forged_proof(content: bytes) -> bytes:
    """Return the file `proof.jsonl` of a circle's archive with other labels and outputs in a fifth of its rows."""
    rows = proof_rows(content)
    other = {"outside": "inside", "inside": "outside"}
    for number, row in enumerate(rows[: len(rows) // 5]):
        [(name, output)] = row.outputs.items()
        rows[number] = ProofRow(row.input, other[row.label], {name: ProofArray.of(output.array()[::-1])})
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
