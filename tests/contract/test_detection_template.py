"""The detector that `onnxserve new` makes finds its squares, and is certified by its average precision."""

from __future__ import annotations

import pytest

from onnxserve.archive import contents
from onnxserve.archive.evidence import describe_proof
from onnxserve.archive.proof import ProofArray, proof_rows
from onnxserve.scaffold import new_model
from onnxserve_export.export import export_model
from onnxserve_export.export_state import ExportState
from onnxserve_export.rerun import rerun
from onnxserve_export.steps import STEPS


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> ExportState:
    folder = new_model("image", "squares", tmp_path_factory.mktemp("models"), "detection")
    state: ExportState = export_model(folder, folder / "store", STEPS, lambda _: None)
    return state


def test_it_is_certified_by_average_precision(exported):
    summary = exported.evidence["summary"]
    assert (summary["proof"], summary["task"], summary["claim"]) == ("certified", "detection", "accuracy")
    assert summary["accuracy"] > 0.9
    assert summary["bound"] <= summary["budget"]
    text = " ".join(describe_proof(summary))
    assert f"mean average precision at an overlap of 0.5 {summary['accuracy']:.2%}" in text


def test_the_repeated_proof_measures_the_same(exported):
    again = rerun(exported.archive)
    assert again.refusal == ""
    assert again.paired.accuracy == pytest.approx(exported.evidence["summary"]["accuracy"])
    assert again.paired.bound == pytest.approx(again.recorded_bound)
    assert "average precision" in again.loss


def test_the_proof_rows_have_every_output_as_the_source_gave_it(exported):
    [row, *_] = proof_rows(contents(exported.archive)[0]["proof.jsonl"])
    assert list(row.outputs) == ["boxes", "scores"]
    assert row.outputs["boxes"].array().shape == (64, 4)
    assert isinstance(row.outputs["boxes"], ProofArray)
    boxes = row.outputs["boxes"].array()
    # The rows of the proof are some of the certify rows, in another order.
    assert [boxes == pytest.approx(reference) for reference in exported.reference["boxes"]].count(True) == 1


def test_the_profile_has_the_scores_and_numbers_of_objects(exported):
    profile = contents(exported.archive)[0]["profile.json"].decode()
    assert '"objects"' in profile
    assert '"brightness"' in profile
