"""How many rows may run together: what was proven, or what the archive's proof rows show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from onnxserve.archive.deviation import TOLERANCE
from onnxserve.batch.batch_size import COLUMNAR_ROWS, choose_batch_size
from onnxserve.errors import ArchiveError, BatchError
from onnxserve_export import deviation


class Moving:
    """A handler whose answers move by `shift` in batches of more than `still` rows."""

    def __init__(self, shift: float, still: int) -> None:
        self.shift, self.still, self.batch = shift, still, 1

    def resize(self, batch: int) -> None:
        self.batch = batch

    def outputs(self, values: Sequence[float]) -> np.ndarray:
        return np.array([[value + self.shift * (len(values) > self.still)] for value in values], np.float32)


@pytest.mark.parametrize(
    ("shift", "proven", "requested", "columnar", "together"),
    [
        (0.5, 1, 0, False, 1),  # rows alone, and nobody asked for more
        (0.5, 1, 0, True, 1),
        (0.5, 64, 64, True, 64),
        (0.5, 64, 0, True, 64),  # larger ones would be other answers
        (0.0, 64, 0, True, COLUMNAR_ROWS),
        (0.0, 64, 200, True, 200),
    ],
)
def test_as_many_rows_run_together_as_are_proven(tmp_path, shift, proven, requested, columnar, together):
    proof_of(tmp_path, 40)
    handler = Moving(shift, still=proven)
    assert choose_batch_size(tmp_path, handler, proven, requested, columnar=columnar) == together


def test_more_rows_together_than_answer_alike_are_refused_and_so_is_what_can_not_be_shown(tmp_path):
    proof_of(tmp_path, 40)
    with pytest.raises(BatchError, match=r"32 rows together are not proven: .* move by 0\.043"):
        choose_batch_size(tmp_path, Moving(0.5, still=1), 1, 32, columnar=False)
    (tmp_path / "proof.jsonl").unlink()
    with pytest.raises(ArchiveError, match="no proof rows"):
        choose_batch_size(tmp_path, Moving(0.0, still=1), 1, 32, columnar=False)


def test_more_rows_than_the_graph_takes_are_refused_without_a_traceback(tmp_path):
    proof_of(tmp_path, 4)

    class Single(Moving):
        def outputs(self, values: Sequence[float]) -> np.ndarray:
            if len(values) > 1:
                raise RuntimeError("Invalid dimensions")
            return super().outputs(values)

    with pytest.raises(BatchError, match="8 rows together are not proven: the graph fails on them, it takes at most 1"):
        choose_batch_size(tmp_path, Single(0.0, still=1), 1, 8, columnar=False)


class MovingSecond(Moving):
    """A handler whose second output alone moves."""

    def every_output(self, values: Sequence[float]) -> dict[str, np.ndarray]:
        return {"still": np.array([[value] for value in values], np.float32), "moving": self.outputs(values)}


def test_every_output_must_stay(tmp_path):
    proof_of(tmp_path, 40)
    with pytest.raises(BatchError, match="32 rows together are not proven"):
        choose_batch_size(tmp_path, MovingSecond(0.5, still=1), 1, 32, columnar=False)
    assert choose_batch_size(tmp_path, MovingSecond(0.0, still=1), 1, 32, columnar=False) == 32


def test_what_moves_is_judged_as_the_export_judges_it():
    assert TOLERANCE == deviation.TOLERANCE


def proof_of(folder: Path, rows: int) -> None:
    (folder / "proof.jsonl").write_text("".join(json.dumps({"input": float(row)}) + "\n" for row in range(rows)))


def test_a_shift_is_measured_by_the_spread_that_the_archive_records(tmp_path):
    proof_of(tmp_path, 40)
    handler = Moving(0.5, still=1)
    (tmp_path / "golden.json").write_text('{"scale": [1000.0]}')
    assert choose_batch_size(tmp_path, handler, 1, 32, columnar=False) == 32
    (tmp_path / "golden.json").write_text('{"scale": [100.0]}')
    with pytest.raises(BatchError, match=r"move by 0\.005 of their spread"):
        choose_batch_size(tmp_path, handler, 1, 32, columnar=False)
