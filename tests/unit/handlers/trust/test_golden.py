"""Golden rows, and deviations in spreads of the outputs, which don't depend on a unit."""

from __future__ import annotations

import numpy as np
import pytest

from onnxserve.archive import unpack
from onnxserve.archive.deviation import TOLERANCE, deviation, magnitude_of, recorded_scale, scale_of
from onnxserve.errors import CheckFailed
from onnxserve.scaffold import new_model
from onnxserve_export.export import export_model
from onnxserve_export.steps import STEPS
from onnxserve_handlers.trust.golden import Golden, GoldenMismatch, check_golden, read_golden
from tests.helpers.definitions import regression_toml


@pytest.mark.parametrize("answer", [1.5, float("nan"), float("inf")])
def test_golden_rows_that_deviate_keep_the_worker_from_loading(answer):
    golden = Golden([1], [[1.0]], 0.01)
    assert check_golden(golden, lambda rows: {"y": np.ones((len(rows), 1))}) == 0
    with pytest.raises(GoldenMismatch, match=r"0\.01 is allowed"):
        check_golden(golden, lambda rows: {"y": np.full((len(rows), 1), answer)})


@pytest.mark.parametrize(
    ("unit", "error", "passes"),
    [
        (1e-7, 1e-10, True),
        (1e-7, 1e-8, False),  # an absolute tolerance of 0.01 would let anything pass
        (1e6, 0.02, True),  # and would refuse this
        (1e6, 1e5, False),
    ],
)
def test_what_is_tolerated_follows_the_unit_of_the_outputs(unit, error, passes):
    reference = unit * np.linspace(1, 2, 50, dtype=np.float32)[:, None]
    scale = scale_of(reference, each=True)
    golden = Golden([0, 1], reference[:2].tolist(), 0.01, scale.tolist())
    answers = reference[:2].astype(np.float64) + error

    def run(instances: list[int]) -> dict[str, np.ndarray]:
        return {"y": np.asarray(answers[instances])}

    if passes:
        assert check_golden(golden, run) == pytest.approx(error / scale[0], rel=1e-3)
        assert deviation(answers, reference[:2], scale) < 10 * TOLERANCE
    else:
        with pytest.raises(GoldenMismatch, match="of its spread"):
            check_golden(golden, run)
        assert deviation(answers, reference[:2], scale) > TOLERANCE


def test_outputs_in_several_units_are_measured_each_by_its_own():
    reference = np.linspace(1, 2, 50)[:, None] * np.array([[1e-7, 1e6]])
    scale = scale_of(reference, each=True)
    wrong = reference + np.array([[1e-7, 0]])
    assert deviation(wrong, reference, scale) > 1
    assert deviation(wrong, reference, scale_of(reference)) < 1e-9  # as one measure for both would see it


def test_rounding_of_float32_is_no_deviation_where_outputs_hardly_differ():
    reference = (1e6 + np.linspace(0, 0.1, 50, dtype=np.float64)).astype(np.float32)[:, None]
    neighbour = np.nextafter(reference, np.float32(2e6))
    assert 0 < deviation(neighbour, reference, scale_of(reference)) < TOLERANCE
    constant, nothing = np.ones((3, 2), np.float32), np.zeros((3, 2), np.float32)
    assert deviation(constant, constant, scale_of(constant, each=True)) == 0
    assert deviation(nothing, nothing, scale_of(nothing)) == 0
    assert deviation(constant, nothing, scale_of(nothing)) > 1e30
    assert magnitude_of(nothing) > 0


def test_outputs_that_can_not_be_compared_lie_infinitely_far_apart():
    outputs = np.ones((3, 2))
    assert deviation(outputs[:2], outputs, np.ones(1)) == float("inf")
    assert deviation(np.full((3, 2), np.inf), np.full((3, 2), np.inf), np.ones(1)) == float("inf")
    assert deviation(outputs[:0], outputs[:0], np.ones(1)) == 0


def test_an_archive_records_its_scale_and_an_older_one_is_measured_by_its_outputs(archive, tmp_path):
    unpack(archive, tmp_path)
    golden = read_golden(tmp_path)
    assert recorded_scale(tmp_path, np.ones((2, 2))).tolist() == golden.scale
    assert len(golden.scale) == 1  # logits of a classifier are compared with each other
    assert recorded_scale(tmp_path / "older", np.array([[1.0], [3.0]])).tolist() == [1.0]


REGRESSION = """
import numpy as np
import torch


class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1, bias=False)

    def forward(self, features):
        return self.layer(features) * UNIT


def load():
    torch.manual_seed(0)
    return Line()


def rows():
    draws = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    return [(row.tolist(), float(row.sum() * UNIT)) for row in draws]
"""


def exported(folder, unit: str, change: tuple[str, str] = ("", "")):
    model = new_model("table", "line", folder / "models")
    (model / "model.toml").write_text(regression_toml("line"))
    text = REGRESSION.replace("UNIT", unit)
    assert change[0] in text
    (model / "model.py").write_text(text.replace(*change) if change[0] else text)
    (model / "golden.jsonl").write_text('{"input": [1.0, 2.0]}\n{"input": [-1.0, 0.5]}\n')
    return export_model(model, folder / "store", STEPS, lambda _: None)


@pytest.mark.parametrize("unit", ["1e-7", "1e6"])
def test_a_regression_is_exported_with_golden_rows_in_its_unit_and_a_worse_graph_is_refused(tmp_path, unit):
    work = exported(tmp_path, unit)
    unpack(work.archive, tmp_path / "open")
    golden = read_golden(tmp_path / "open")
    allowed = golden.tolerance * golden.scale[0]
    assert 1e-3 * float(unit) < allowed < 0.1 * float(unit)
    assert work.parity[0].deviation < TOLERANCE
    wrong = [[value + 0.2 * float(unit) for value in row] for row in golden.outputs]
    with pytest.raises(GoldenMismatch):
        check_golden(
            golden, lambda instances: {"y": np.array([wrong[golden.instances.index(row)] for row in instances])}
        )


def test_torch_that_mixes_rows_is_found_however_small_its_outputs(tmp_path):
    with pytest.raises(CheckFailed, match=r"moves by .* of the outputs' spread"):
        exported(tmp_path, "1e-7", ("self.layer(features)", "(self.layer(features) - 0.1 * features.mean())"))
    assert not (tmp_path / "store").exists() or not list((tmp_path / "store").glob("*.mar"))


def test_rows_whose_outputs_have_sizes_of_their_own_are_compared_with_zeros_at_their_ends():
    rows = {"short": [1.0], "long": [2.0, 3.0]}

    def run(instances, error=0.0):
        widest = max(len(rows[name]) for name in instances)
        padded = np.array([rows[name] + [0.0] * (widest - len(rows[name])) for name in instances])
        return {"y": padded + error * (len(instances) == 1)}

    golden = Golden(["short", "long"], [[1.0, 0.0], [2.0, 3.0]], tolerance=0.1)
    assert check_golden(golden, run) == 0
    with pytest.raises(GoldenMismatch):
        check_golden(golden, lambda instances: run(instances, error=0.5))
