"""Proof without labels: how many answers differ from the source's has a bound that is as seldom wrong as promised."""

import re
from pathlib import Path

import numpy as np
import pytest

from onnxserve.archive import contents
from onnxserve.archive.evidence import describe_loss, describe_proof
from onnxserve.archive.proof import proof_rows
from onnxserve.definition import Definition, read_definition
from onnxserve.scaffold import new_model
from onnxserve_export.acceptance import Acceptance, Basis, budget_of, claim_of
from onnxserve_export.export import export_model
from onnxserve_export.loss import ScoreLoss
from onnxserve_export.rerun import rerun
from onnxserve_export.significance_levels import FAMILYWISE_ERROR, FIRST_LEVEL
from onnxserve_export.steps import STEPS
from onnxserve_export.subset import Row
from onnxserve_handlers.outputs import Outputs

ROWS, TRIES = 500, 2000
EDGE = 3 * np.sqrt(FIRST_LEVEL / TRIES)  # three standard deviations of the share of tries


def definition(folder: Path, **fields: str) -> Definition:
    model = new_model("table", "circle", folder / "models")
    toml = model / "model.toml"
    text = toml.read_text()
    for name, value in fields.items():
        text = text.replace("[quantise]\n", f"[quantise]\n{name} = {value}\n", 1)
    toml.write_text(text)
    return read_definition(model)


def accepted(acceptance: Acceptance, outputs: np.ndarray) -> bool:
    name = next(iter(acceptance.reference))
    return not acceptance.verdict(acceptance.compare(Outputs({name: outputs})))


@pytest.mark.parametrize("budget", [0.01, 0.03])
def test_a_variant_that_changes_the_whole_budget_of_labels_is_seldom_accepted(tmp_path, budget):
    model = definition(tmp_path, max_disagreement=str(budget))
    reference = np.eye(2, dtype=np.float32)[np.arange(ROWS) % 2]
    acceptance = Acceptance(model, [Row(0, None)] * ROWS, Outputs(logits=reference), basis=Basis(False))
    assert acceptance.criterion.claim == "agreement"
    draws, passes = np.random.default_rng(7), 0
    for _ in range(TRIES):
        differ = draws.random(ROWS) < budget
        passes += accepted(acceptance, np.where(differ[:, None], reference[:, ::-1], reference))
    assert passes / TRIES <= FIRST_LEVEL + EDGE < FAMILYWISE_ERROR + EDGE
    assert accepted(acceptance, reference)


@pytest.mark.parametrize("task", ["regression", "embedding"])
def test_values_and_vectors_that_move_in_the_whole_budget_of_rows_are_seldom_accepted(tmp_path, task):
    model = definition(tmp_path, max_disagreement="0.03", task=f'"{task}"')
    draws = np.random.default_rng(8)
    reference = draws.normal(size=(ROWS, 4)).astype(np.float32)
    acceptance = Acceptance(model, [Row(0, None)] * ROWS, Outputs(values=reference), basis=Basis(False))
    moved, passes, tries = -reference, 0, 300
    for _ in range(tries):
        passes += accepted(acceptance, np.where(draws.random(ROWS)[:, None] < 0.03, moved, reference))
    assert passes / tries <= FIRST_LEVEL + 3 * np.sqrt(FIRST_LEVEL / tries)
    assert accepted(acceptance, reference)


@pytest.mark.parametrize("partly", [1.0, 0.25])
def test_an_agreement_between_0_and_1_has_a_bound_of_its_mean(partly):
    """A task's own agreement, such as the overlap of two masks: some rows agree only in part."""
    budget, tries = 0.02, 500
    reference = Outputs(far=np.zeros((ROWS, 1)))
    loss = ScoreLoss(reference, lambda outputs: 1 - outputs["far"][:, 0], 1.0, lambda _: 0.0, "disagreement")
    draws = np.random.default_rng(9)
    passes = sum(
        loss.compare(Outputs(far=(draws.random((ROWS, 1)) < budget / partly) * partly), FIRST_LEVEL).bound <= budget
        for _ in range(tries)
    )
    assert passes / tries <= FIRST_LEVEL + 3 * np.sqrt(FIRST_LEVEL / tries)
    assert loss.compare(reference, FIRST_LEVEL).bound <= budget


def test_the_claim_follows_labels_and_budget(tmp_path):
    plain, limited = definition(tmp_path / "1"), definition(tmp_path / "2", max_disagreement="0.02")
    assert [claim_of(plain, Basis(labelled)) for labelled in (True, False)] == ["accuracy", "agreement"]
    assert claim_of(limited, Basis(True)) == "agreement"
    assert (budget_of(plain), budget_of(limited)) == (0.01, 0.02)


def test_rows_without_labels_are_certified_to_agree_with_their_source(tmp_path):
    model = new_model("table", "circle", tmp_path / "models")
    toml, code = model / "model.toml", model / "model.py"
    toml.write_text(toml.read_text().replace('["int8", "fp32"]', '["int8"]').replace("0.01", "0.05"))
    text = code.read_text().replace("def rows()", "def points()")
    text = re.sub(r"def load\(.*\) -> nn.Module:", "def load():\n    fit = points()", text)
    code.write_text(text + "\n\ndef rows():\n    return [(value, None) for value, _ in points()]\n")
    lines: list[str] = []
    state = export_model(model, tmp_path / "store", STEPS, lines.append)
    summary = state.evidence["summary"]
    assert (summary["proof"], summary["claim"], summary["budget"]) == ("certified", "agreement", 0.05)
    assert summary["bound"] <= 0.05
    assert "of answers differ from the source's, at most" in " ".join(describe_proof(summary))
    assert any("of answers differ from the source's" in line for line in lines)
    again = rerun(state.archive)
    assert again.refusal == ""
    assert again.paired.bound == pytest.approx(again.recorded_bound)
    assert {row.label for row in proof_rows(contents(state.archive)[0]["proof.jsonl"])} == {None}


def test_what_is_lost_is_told_in_the_words_of_the_task():
    paired = {"drop": 0.01, "bound": 0.02, "flips": 1.0, "accuracy": 0.9, "reference_accuracy": 0.91}
    texts = {
        (task, claim): describe_loss(paired, task, claim, 0.03)
        for task, claim in (
            ("labels", "accuracy"),
            ("labels", "agreement"),
            ("regression", "agreement"),
            ("embedding", "agreement"),
            ("model.py:within", "accuracy"),
        )
    }
    assert texts["labels", "accuracy"].endswith("drop at most 2.00%, 100.00% of answers differ")
    assert texts["labels", "agreement"] == "1.00% of answers differ from the source's, at most 2.00%"
    assert (
        texts["regression", "agreement"]
        == "1.00% of rows lie more than 0.03 spreads from the source's values, at most 2.00%"
    )
    assert "100.00% have another nearest neighbour" in texts["embedding", "agreement"]
    assert texts["model.py:within", "accuracy"] == "mean score 0.9 (source 0.91), at most 0.02 lower"
