"""What of the certify rows travels in an archive."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from onnxserve.archive.proof import proof_outputs, proof_rows
from onnxserve_export import package
from onnxserve_export.subset import Row


@pytest.mark.parametrize(
    ("most_bytes", "most_rows", "count"), [(10**6, 2000, 10), (10**6, 4, 4), (300, 2000, 3), (1, 9, 1)]
)
def test_proof_rows_are_as_many_as_asked_for_and_as_their_outputs_allow(monkeypatch, most_bytes, most_rows, count):
    monkeypatch.setattr(package, "PROOF_BYTES", most_bytes)
    masks = np.arange(1000, dtype=np.uint8).reshape(10, 10, 10)
    state: Any = SimpleNamespace(
        reference={"mask": masks},
        split=SimpleNamespace(certify=[Row([number], None) for number in range(10)]),
        definition=SimpleNamespace(quantise=SimpleNamespace(proof_rows=most_rows)),
    )
    rows = proof_rows(package.proof(state))
    assert [row.input for row in rows] == [[number] for number in range(count)]
    assert (proof_outputs(rows)["mask"] == masks[:count]).all()
