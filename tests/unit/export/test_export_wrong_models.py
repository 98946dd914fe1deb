"""Exports of models and rows that are wrong in ways that a proof could overlook: refused, or told as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from onnxserve.archive.evidence import describe_proof
from onnxserve.errors import CheckFailed
from onnxserve.scaffold import new_model
from onnxserve_export.export import export_model
from onnxserve_export.export_state import ExportState
from onnxserve_export.steps import STEPS


def changed(folder: Path, *changes: tuple[str, str], golden: bool = True) -> Path:
    model = new_model("table", "circle", folder)
    code, toml = model / "model.py", model / "model.toml"
    for old, new in changes:
        path = code if old in code.read_text() else toml
        assert old in path.read_text(), old
        path.write_text(path.read_text().replace(old, new))
    toml.write_text(toml.read_text().replace('["int8", "fp32"]', '["fp32"]'))
    if not golden:
        lines = (model / "golden.jsonl").read_text()
        (model / "golden.jsonl").write_text(re.sub(r', "label": "\w+"', "", lines))
    return model


def exported(model: Path, store: Path) -> ExportState:
    return export_model(model, store, STEPS, lambda _: None)


FORWARD = "logits: torch.Tensor = self.layers(features)"


def test_labels_in_another_order_are_told_where_no_golden_row_has_a_label(tmp_path):
    order = ('["outside", "inside"]', '["inside", "outside"]')
    with pytest.raises(CheckFailed, match=r"torch answers \d.*% of \d+ rows as their labels say"):
        exported(changed(tmp_path / "models", order, golden=False), tmp_path / "store")
    assert not list(tmp_path.glob("store/*.mar"))


def test_a_source_that_has_no_number_for_rare_rows_is_told_with_the_row(tmp_path):
    rare = (FORWARD, FORWARD + "\n        logits = logits + 0 * torch.log(features[:, :1] + 1.98)")
    with pytest.raises(CheckFailed, match=r"torch's output isn't a finite number for \d+ of \d+ \w+ rows"):
        exported(changed(tmp_path / "models", rare), tmp_path / "store")


def test_of_labels_that_no_row_has_nothing_is_claimed(tmp_path):
    model = changed(tmp_path / "models", ("def rows()", "def points()"), golden=False)
    code = model / "model.py"
    code.write_text(
        code.read_text() + "\n\ndef rows():\n    return [pair for pair in points() if pair[1] == 'inside']\n"
    )
    state = exported(model, tmp_path / "store")
    summary = state.evidence["summary"]
    assert summary["unseen_labels"] == ["outside"]
    assert "Nothing is known of labels that none of these rows has: outside." in describe_proof(summary)


@pytest.mark.parametrize("count", [1, 40])
def test_one_row_or_many_that_are_equal_make_an_archive_by_parity(tmp_path, count):
    model = changed(tmp_path / "models")
    code = model / "model.py"
    text = code.read_text().replace("def rows()", "def points()")
    text = re.sub(r"def load\(.*\) -> nn.Module:", "def load():\n    fit = points()", text)
    code.write_text(text + f"\n\ndef rows():\n    return points()[:1] * {count}\n")
    state = exported(model, tmp_path / "store")
    assert state.evidence["summary"]["proof"] == "parity"
    assert state.evidence["summary"]["row_parity"]["rows"] == 1
    assert state.evidence["data"]["duplicates_dropped"] == count - 1
