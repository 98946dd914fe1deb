"""fp32 needs no certificate where it answers every row as its source does: strictly, and said as no more than that."""

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxserve.archive import contents
from onnxserve.archive.evidence import describe_proof, read_proof_kind
from onnxserve.errors import CheckFailed
from onnxserve.scaffold import new_model
from onnxserve_export.export import export_model
from onnxserve_export.export_state import ExportState
from onnxserve_export.options import DEFAULTS, ExportOptions
from onnxserve_export.parity import Compared, changes_of, compare, fault_of, row_scales
from onnxserve_export.rerun import rerun
from onnxserve_export.step import Step
from onnxserve_export.steps import STEPS
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.registry import task_for
from onnxserve_handlers.tasks.classification import Classification, ClassificationOptions

UNIT = {"logits": np.ones(1)}
LOGITS = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.4999]], np.float32)


CLASSIFIER = task_for(ClassificationOptions(labels=("a", "b")))


def compared(name: str, expected: np.ndarray, actual: np.ndarray, *, labels: bool) -> Compared:
    return compare(name, Outputs(logits=expected), Outputs(logits=actual), UNIT, CLASSIFIER.changes if labels else None)


def test_one_row_beyond_the_tolerance_is_a_fault():
    off = LOGITS.copy()
    off[1, 0] += 0.002
    assert fault_of([compared("select", LOGITS, LOGITS, labels=True)]) == ""
    fault = fault_of([compared("select", LOGITS, LOGITS, labels=True), compared("fit", LOGITS, off, labels=True)])
    assert fault == "not equal to its source: fit row 1 deviates by 0.002 spreads"


def test_one_changed_answer_within_the_tolerance_is_a_fault():
    near = LOGITS.copy()
    near[2] = near[2, ::-1]
    assert fault_of([compared("certify", LOGITS, near, labels=True)]) == (
        "not equal to its source: 1 of 3 rows (33.33%) get another answer, first certify row 2, though no output "
        "deviates by more than 0.0001 spreads: they lie at a threshold"
    )
    assert fault_of([compared("certify", LOGITS, near, labels=False)]) == ""


class Stricter(Classification):
    """A handler of a user's own, to which any other first number is another answer."""

    def agreement(self, outputs: Outputs, reference: Outputs) -> np.ndarray:
        return np.asarray(outputs["logits"][:, 0] == reference["logits"][:, 0], np.float64)


def test_an_agreement_of_the_users_own_says_too_which_answers_change():
    near = LOGITS.copy()
    near[1, 0] += 1e-5
    compared_by = {
        hooks: compare("select", Outputs(logits=LOGITS), Outputs(logits=near), UNIT, changes_of(hooks))
        for hooks in (CLASSIFIER, Stricter())
    }
    assert [group.changed.tolist() for group in compared_by.values()] == [[False] * 3, [False, True, False]]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_output_that_is_not_finite_is_a_fault(bad):
    broken = LOGITS.copy()
    broken[0, 1] = bad
    assert "select row 0 deviates by inf" in fault_of([compared("select", LOGITS, broken, labels=False)])
    assert "deviates by inf" in fault_of([compared("select", LOGITS, LOGITS[:, :1], labels=False)])


def test_a_generated_row_is_measured_by_its_own_size_if_that_is_larger():
    units = row_scales({"logits": np.array([[1e6, -3e6], [0.1, 0.2]])}, UNIT)
    assert units["logits"].tolist() == [[3e6], [1.0]]


def write_model(folder: Path, rows: int, variants: str = '["int8", "fp32"]') -> Path:
    model = new_model("table", "circle", folder)
    code, toml = model / "model.py", model / "model.toml"
    text = code.read_text().replace("def rows()", "def points()")
    text = re.sub(r"def load\(.*\) -> nn.Module:", "def load():\n    fit = points()", text)
    code.write_text(text + f"\n\ndef rows():\n    return points()[:{rows}]\n")
    toml.write_text(toml.read_text().replace('["int8", "fp32"]', variants))
    return model


def export(model: Path, store: Path, options: ExportOptions = DEFAULTS, steps=STEPS) -> tuple[ExportState, list[str]]:
    lines: list[str] = []
    return export_model(model, store, steps, lines.append, options=options), lines


def test_thirty_rows_are_enough_for_fp32_and_the_archive_says_by_what_it_serves(tmp_path):
    state, lines = export(write_model(tmp_path / "models", 30), tmp_path / "store")
    summary = state.evidence["summary"]
    assert (summary["variant"], summary["proof"], summary["draft"]) == ("fp32", "parity", False)
    parity = summary["row_parity"]
    assert (parity["rows"], parity["golden"], parity["changed"], parity["fault"]) == (30, 2, 0, "")
    assert parity["generated"] > 50
    assert parity["deviation"] < 1e-3
    assert state.certified.tests == []  # no level is spent
    assert not (tmp_path / "store" / "circle.certify.json").exists()
    assert any("wants 323 certify rows" in line for line in lines)
    text = " ".join(describe_proof(summary))
    assert "fp32 serves by parity" in text
    assert "Nothing is claimed of rows that were not compared." in text
    assert read_proof_kind(state.archive) == "parity"
    assert rerun(state.archive).refusal == ""


def test_with_enough_rows_fp32_has_a_certificate_as_well(archive):
    summary = json.loads(contents(archive)[0]["evidence.json"])["summary"]
    assert summary["proof"] == "certified"
    assert summary["bound"] <= summary["budget"]


def corrupted(by: float) -> list[Step]:
    """The steps of an export whose fp32 graph has another bias."""

    def corrupt(state: ExportState) -> None:
        proto = onnx.load(state.fp32)
        [bias] = [tensor for tensor in proto.graph.initializer if tensor.name == "layers.2.bias"]
        bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(by), bias.name))
        onnx.save(proto, state.fp32)

    at = [step.name for step in STEPS].index("quantise")
    return [*STEPS[:at], Step("corrupt", (), (), corrupt), *STEPS[at:]]


def test_an_fp32_graph_that_deviates_needs_a_certificate_and_few_rows_give_none(tmp_path):
    with pytest.raises(CheckFailed, match="no variant passes") as caught:
        export(write_model(tmp_path / "models", 30), tmp_path / "store", steps=corrupted(1.0))
    assert "fp32: not equal to its source" in str(caught.value)
    assert "certify rows can't certify it" in str(caught.value)
    assert "add fp32" not in caught.value.fix
    assert not list(tmp_path.glob("store/*.mar"))


def test_without_a_row_there_is_an_archive_only_if_it_may_be_unproven(tmp_path):
    model = write_model(tmp_path / "models", 0)
    with pytest.raises(CheckFailed, match="there are no rows, and without one"):
        export(model, tmp_path / "store")
    state, _ = export(model, tmp_path / "store", ExportOptions(unproven=True))
    summary = state.evidence["summary"]
    assert summary["proof"] == "unproven"
    assert summary["row_parity"]["rows"] == 0
    assert "one would do for fp32" in summary["unproven"]
    assert read_proof_kind(state.archive) == "unproven"


def test_a_quantised_variant_on_few_rows_is_unproven_and_says_how_many_would_do(tmp_path):
    model = write_model(tmp_path / "models", 60, '["int8"]')
    with pytest.raises(CheckFailed, match="no variant can be certified"):
        export(model, tmp_path / "store")
    toml = model / "model.toml"
    toml.write_text(toml.read_text().replace("max_accuracy_drop = 0.01", "max_accuracy_drop = 0.05"))
    state, _ = export(model, tmp_path / "store", ExportOptions(unproven=True))
    summary = state.evidence["summary"]
    assert (summary["variant"], summary["proof"]) == ("int8", "unproven")
    assert f"about {state.plan.wanted} rows would do" in summary["unproven"]
    assert state.certified.tests == []


def test_a_loss_beyond_the_budget_on_the_rows_there_are_is_no_lack_of_proof(tmp_path):
    model = write_model(tmp_path / "models", 30)
    options, store, steps = ExportOptions(unproven=True), tmp_path / "store", corrupted(100.0)
    with pytest.raises(CheckFailed, match="fp32: answers 1 of 2 golden rows otherwise than their labels say"):
        export(model, store, options, steps)
    golden = model / "golden.jsonl"
    golden.write_text(re.sub(r', "label": "\w+"', "", golden.read_text()))
    with pytest.raises(CheckFailed, match="no variant passes"):
        export(model, store, options, steps)


def test_a_draft_is_fp32_without_times_and_says_so(tmp_path):
    state, _ = export(write_model(tmp_path / "models", 2000), tmp_path / "store", ExportOptions(draft=True))
    summary = state.evidence["summary"]
    assert (summary["draft"], summary["variant"], summary["proof"]) == (True, "fp32", "parity")
    assert sum(state.evidence["data"]["rows"].values()) == 500
    assert state.timings == []
    assert "It is a draft" in " ".join(describe_proof(summary))
