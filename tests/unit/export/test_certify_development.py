"""An archive that is made for development is unproven, whatever its rows show, and no release makes it stable."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxserve.archive import read_version, summarise
from onnxserve.archive.evidence import describe_proof, read_proof_kind
from onnxserve.errors import ReleaseError
from onnxserve.release.proven import check_proven
from onnxserve_export.export import export_model
from onnxserve_export.options import ExportOptions
from onnxserve_export.steps import STEPS


@pytest.fixture(scope="module")
def draft(definition: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = ExportOptions(unproven=True, draft=True, development_version="1.0.0.7")
    return export_model(definition, tmp_path_factory.mktemp("store"), STEPS, lambda _: None, options=options).archive


def test_its_evidence_says_what_it_was_made_for(draft):
    summary = summarise(draft).evidence["summary"]
    assert (summary["proof"], summary["draft"], summary["variant"]) == ("unproven", True, "fp32")
    assert summary["row_parity"]["fault"] == ""  # which would otherwise be proof by parity
    assert any("`onnxserve serve --reload` made it for development" in line for line in describe_proof(summary))


def test_it_has_its_own_version_and_is_refused_as_stable(draft):
    assert (read_version(draft), draft.name) == (("circle", "1.0.0.7"), "circle-1.0.0.7.mar")
    assert read_proof_kind(draft) == "unproven"
    with pytest.raises(ReleaseError, match="unproven") as refusal:
        check_proven("circle", "1.0.0.7", draft)
    assert "--accept-unproven" in refusal.value.fix
