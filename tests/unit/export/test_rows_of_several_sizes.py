"""Rows whose arrays have other sizes along a free axis, which never run together, can be exported and proven."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from onnxserve.archive import read_proof, unpack
from onnxserve.archive.offline import every_output, part_counts, tensors
from onnxserve.scaffold import new_model
from onnxserve_export.batches import Batches
from onnxserve_export.export import export_model
from onnxserve_export.export_state import ExportState
from onnxserve_export.rerun import rerun
from onnxserve_export.steps import STEPS

ROWS = """    source = random.Random(7)
    return [([[source.gauss(0, 1) for _ in range(4)] for _ in range(source.randint(2, 5))], None) for _ in range(90)]
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> ExportState:
    folder = new_model("tensors", "series", tmp_path_factory.mktemp("models"))
    code, toml, golden = folder / "model.py", folder / "model.toml", folder / "golden.jsonl"
    text = code.read_text()
    begin, end = text.index("    source = random"), text.index("\n\nclass Frames")
    code.write_text(text[:begin] + ROWS + text[end:])
    toml.write_text(
        toml.read_text()
        .replace("shape = [8, 4]", 'shape = ["time", 4]')
        .replace('kind = "tensors"', 'kind = "tensors"\nlimits = { time = 8 }')
    )
    golden.write_text(
        '{"input": [[0.5, 0, 0, 1], [1, 0, 0, 0]]}\n{"input": [[0.5, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 1]]}\n'
    )
    state: ExportState = export_model(folder, folder / "store", STEPS, lambda _: None)
    return state


def test_the_proof_compares_every_row_and_every_output(exported):
    summary = exported.evidence["summary"]
    assert summary["row_parity"]["fault"] == ""
    assert summary["row_parity"]["rows"] == 90
    assert exported.output_axes == {"each": {1: "time"}}
    again = rerun(exported.archive)
    assert (again.refusal, again.deviation < 1e-3) == ("", True)


def test_the_archive_answers_as_its_source(exported, tmp_path):
    unpack(exported.archive, tmp_path)
    model = exported.model.module
    rows = [row.input for row in read_proof(tmp_path)[:8]]
    [answered] = every_output(tmp_path, [rows])
    for number, row in enumerate(rows):
        with torch.inference_mode():
            source = model(torch.tensor([row], dtype=torch.float32))
        size = len(row)
        assert np.allclose(answered.arrays["each"][number, :size], source["each"][0], atol=1e-5)
        assert not answered.arrays["each"][number, size:].any()
        assert np.allclose(answered.arrays["series"][number], source["series"][0], atol=1e-5)
    assert answered.sizes["time"].tolist() == [len(row) for row in rows]


def test_neighbours_of_one_size_run_together(exported, tmp_path):
    rows = [[[0.0] * 4] * size for size in (2, 2, 3, 2)]
    path: Path = tmp_path / "tensors.npz"
    unpack(exported.archive, tmp_path / "archive")
    tensors(tmp_path / "archive", [rows, rows[:1]], path)
    assert part_counts(path) == [3, 1]
    assert [batch["frames"].shape for batch in Batches(path, 0, 4)] == [(2, 2, 4), (1, 3, 4), (1, 2, 4), (1, 2, 4)]
