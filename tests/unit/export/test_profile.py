"""The profile of outputs: logits and their probabilities have the same, small values have one, and few rows none."""

import re
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

from onnxserve.archive import contents, unpack
from onnxserve.archive.evidence import describe_proof, read_why_no_profile
from onnxserve.archive.offline import run_offline
from onnxserve.cli.exporting import result_lines
from onnxserve.cli.release.status import unwatched
from onnxserve.doctor.checks import drift
from onnxserve.release import VersionStatus
from onnxserve.torchserve import Settings
from onnxserve_export.output_similarity import activation_of
from onnxserve_export.plan import rows_in_all
from onnxserve_export.preprocess import FEW
from onnxserve_export.profile import STEP, profile
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.registry import task_alone
from onnxserve_handlers.tasks.classification import ClassificationOptions, probabilities
from onnxserve_handlers.tasks.raw import RawOptions
from onnxserve_handlers.tasks.regression import RegressionOptions
from onnxserve_handlers.tasks.tokens import TokensOptions
from onnxserve_handlers.telemetry.drift import Profile
from onnxserve_handlers.telemetry.drift_window import MOST_ALIKE
from tests import ROOT
from tests.helpers.kinds import table_signature
from tests.unit.export.test_parity import export, write_model

LOGITS = np.random.default_rng(7).normal(0, 3, (50, 3))
PROBABILITIES = probabilities(LOGITS, "softmax").astype(np.float32)


def test_probabilities_have_the_profile_of_their_logits():
    edges = []
    for outputs in (LOGITS, PROBABILITIES):
        options = ClassificationOptions(labels=("a", "b", "c"), activation=activation_of(outputs))
        task = task_alone("classification", table_signature(output=options))
        edges.append(profile({}, Outputs(first=outputs), task)["measures"]["score"]["edges"])
    np.testing.assert_allclose(edges[0], edges[1], atol=2e-6)


def test_small_values_of_a_regression_have_a_profile():
    values = np.random.default_rng(7).normal(1e-7, 1e-8, (1000, 1)).astype(np.float32)
    task = task_alone("regression", table_signature(output=RegressionOptions()))
    assert len(profile({}, Outputs(first=values), task)["measures"]["value.0"]["edges"]) == 9


def test_spans_are_counted_by_their_own_labels_instead_of_the_tags_of_tokens():
    scores = np.zeros((2, 2, 3), np.float32)
    scores[0, :, 0] = scores[1, 0, 0] = scores[1, 1, 1] = 1
    task = task_alone(
        "tokens", table_signature(output=TokensOptions(labels=("O", "B-PER", "I-PER"), activation="none"))
    )
    document = profile({}, Outputs(first=scores), task)
    assert document["labels"] == {"PER": 1}
    assert document["measures"].keys() == {"score", "spans"}


def test_raw_outputs_have_a_profile():
    outputs = Outputs(first=np.random.default_rng(7).normal(size=(100, 4)))
    task = task_alone("raw", table_signature(output=RawOptions()))
    document = profile({}, outputs, task)
    assert document["measures"].keys() == {"score", "outputs.first", "outputs.first.spread"}
    assert len(document["measures"]["outputs.first"]["edges"]) == 9


def test_rows_too_few_for_a_profile_are_told_wherever_somebody_looks(tmp_path):
    state, lines = export(write_model(tmp_path / "models", 30), tmp_path / "store")
    summary, certify = state.evidence["summary"], len(state.split.certify)
    assert certify < FEW
    assert summary["drift_profile"] == {
        "certify": certify,
        "unit": "rows",
        "needed": FEW,
        "wanted": rows_in_all(FEW),
    }
    assert "profile.json" not in contents(state.archive)[0]
    reason = f"{certify} certify rows are too few for a profile; {FEW} would do, about {rows_in_all(FEW)} rows in all"
    assert read_why_no_profile(state.archive) == reason
    assert any(f"drift won't be judged: {reason}" in line for line in lines)
    settings = Settings(tmp_path / "config.properties", tmp_path / "store", tmp_path / "state")
    assert f"drift won't be judged: {reason}" in result_lines(state, settings)
    assert f"Drift isn't judged: {reason}." in describe_proof(summary)
    finding = drift(settings)
    assert (finding.result, finding.fix) == (f"circle-1.0.0 isn't judged: {reason}", "")
    version = VersionStatus("circle", "1.0.0", "stable", True, True, 1, 0, 9, "circle-1.0.0.mar", "parity", reason)
    assert unwatched([version]) == [f"drift of circle 1.0.0 isn't judged: {reason}"]


def test_an_archive_with_a_profile_has_nothing_to_tell(archive):
    assert read_why_no_profile(archive) == ""


def test_a_profile_counts_rows_as_equal_that_are_the_same_to_the_handler(archive, tmp_path):
    members, _, _ = contents(archive)
    assert msgspec.json.decode(members["profile.json"], type=Profile).most_alike == 1
    unpack(archive, tmp_path / "open")
    rows = tmp_path / "rows.jsonl"
    rows.write_text('[[1, 0.5], [1.0, 0.5], {"x": 1, "y": 0.5}]\n[[0.5, 1], [2, 1]]\n')
    run_offline(tmp_path / "open", "measures", rows, tmp_path / "measures.npz")
    with np.load(tmp_path / "measures.npz") as arrays:
        assert arrays[MOST_ALIKE].tolist() == [3]


def test_many_rows_of_few_queries_are_no_distribution(tmp_path):
    lines: list[str] = []
    split = SimpleNamespace(certify=range(200), unit="queries", units=lambda _: 5)
    state: Any = SimpleNamespace(split=split, say=lines.append, archive_folder=tmp_path)
    STEP.call(state)
    assert not (tmp_path / "profile.json").exists()
    assert (state.profile.certify, state.profile.unit) == (5, "queries")
    assert "5 certify queries are too few" in lines[0]


def test_the_page_says_how_many_rows_a_profile_wants():
    page = (ROOT / "docs" / "guides" / "monitoring.md").read_text(encoding="utf-8")
    [(few, wanted)] = re.findall(r"fewer than (\d+) certify rows .*?; about (\d+) rows or queries", page, re.DOTALL)
    assert (int(few), int(wanted)) == (FEW, rows_in_all(FEW))
