"""What of the certify rows travels in an archive."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from onnxserve.archive.proof import proof_outputs, proof_rows
from onnxserve_export import package
from onnxserve_export.batch_composition import spread
from onnxserve_export.subset import Row, spool


@pytest.mark.parametrize(
    ("most_bytes", "most_rows", "count"), [(10**6, 2000, 10), (10**6, 4, 4), (300, 2000, 3), (1, 9, 1)]
)
@pytest.mark.parametrize("queries", [None, {"certify": 5}])
def test_proof_rows_are_as_many_as_asked_for_and_as_their_outputs_allow(
    monkeypatch, tmp_path, most_bytes, most_rows, count, queries
):
    monkeypatch.setattr(package, "PROOF_BYTES", most_bytes)
    masks = np.arange(1000, dtype=np.uint8).reshape(10, 10, 10)
    subset = spool((("certify", Row([number], None)) for number in range(10)), ["certify"], tmp_path)["certify"]
    state: Any = SimpleNamespace(
        reference={"mask": masks},
        split=SimpleNamespace(certify=subset, queries=queries),
        definition=SimpleNamespace(quantise=SimpleNamespace(proof_rows=most_rows)),
    )
    rows = proof_rows(package.proof(state))
    places = list(range(count)) if queries else spread(10, count)
    assert [row.input for row in rows] == [[place] for place in places]
    assert (proof_outputs(rows)["mask"] == masks[places]).all()
