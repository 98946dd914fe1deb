"""Drift from the archive's profile: distances, alarms at the stated rate, and the interval of an accuracy."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from onnxserve.monitoring.accuracy import wilson
from onnxserve_export.profile import measure, profile
from onnxserve_handlers.inputs.table import TableOptions
from onnxserve_handlers.inputs.table_columns import Column
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.registry import task_alone
from onnxserve_handlers.tasks import TaskHooks
from onnxserve_handlers.tasks.classification import Classification
from onnxserve_handlers.tasks.regression import RegressionOptions
from onnxserve_handlers.telemetry import drift as drifts
from onnxserve_handlers.telemetry.drift import (
    Drift,
    Measure,
    Profile,
    ScoreChanges,
    adaptive_window,
    embedding_measures,
)
from onnxserve_handlers.telemetry.drift_window import bins_of
from onnxserve_handlers.telemetry.metrics import VARIABLE
from tests.helpers.kinds import table_signature


def test_a_category_has_a_bin_of_its_own_and_null_is_in_none():
    options = TableOptions(columns=(Column("plan", type="category", categories=("a", "b"), nullable=True),))
    task = task_alone("classification", replace(table_signature("x"), input=options))
    places = np.array([0.0, 1, 1, np.nan, np.nan])
    document = profile({"plan": places, "empty": np.full(5, np.nan)}, Outputs(first=np.zeros((5, 2))), task)
    assert document["measures"]["plan"] == {"edges": [0.5, 1.5], "counts": [1, 2, 0]}  # the last is for unknown ones
    assert "empty" not in document["measures"]


def test_bins_hold_about_as_many_rows_each_and_few_values_get_one_each():
    even = measure(np.arange(1000.0))
    assert even["counts"] == [100] * 10
    few = measure(np.array([0.0, 0, 1, 1, 1, 5]))
    assert (few["edges"], few["counts"]) == ([0.5, 3.0], [2, 3, 1])
    assert bins_of(np.array([-9.0, 0.5, 99, np.nan]), np.array([0.5, 3.0])).tolist() == [0, 1, 2, -1]


CLASSIFIER = task_alone("classification", table_signature(labels=("a", "b")))
CLASSIFIER = task_alone("classification", table_signature("x", labels=("a", "b")))
REGRESSION = task_alone("regression", table_signature(output=RegressionOptions()))


class Rows:
    """A handler whose rows are their own measures."""

    def __init__(self, task: TaskHooks) -> None:
        self.label, self.prediction_measures = task.label, task.prediction_measures

    def measures(self, rows):
        return {"x": np.array(rows)}


def alarms(draw, windows: int, shift: float = 0.0) -> int:
    """Return how many of the windows raise an alarm."""
    reference = np.random.default_rng(0).normal(size=5000)
    outputs = np.array([[1.0, 0.0]] * 4000 + [[0.0, 1.0]] * 1000)
    measured = profile({"x": reference}, Outputs(first=outputs), CLASSIFIER)
    p_values: list[float] = []
    now = iter(range(10**9)).__next__
    drift = Drift(msgspec.convert(measured, Profile), lambda *_: None, p_values.append, now=now)
    for _ in range(windows):
        rows = draw.normal(shift, 1, drifts.WINDOW_ROWS)
        labels = draw.random(drifts.WINDOW_ROWS) < 0.8
        predictions = [{"label": "a" if is_a else "b"} for is_a in labels]
        drift.add([[row] for row in rows], predictions, Rows(Classification()))
    assert len(p_values) == windows
    return sum(p < drifts.FALSE_ALARM for p in p_values)


def test_windows_of_independent_rows_raise_no_alarm():
    assert alarms(np.random.default_rng(1), 100) <= 2


def test_shifted_rows_raise_an_alarm_in_every_window():
    assert alarms(np.random.default_rng(2), 20, shift=0.2) == 20


def test_labels_that_no_row_of_the_proof_got_are_not_compared():
    compared: list[str] = []
    measured = Profile(10, {"x": Measure((0.0,), (5, 5))}, {"cat": 0, "dog": 0})
    drift = Drift(measured, lambda name, _: compared.append(name), lambda _: None)
    drift.add([[1.0], [-1.0]], [{"label": "cat", "score": 1.0}] * 2, Rows(Classification()))
    assert drift.close_window() == 1.0
    assert compared == ["x"]


def test_batches_are_passed_over_when_many_come():
    now = [1.0]
    drift = Drift(Profile(10, {"x": Measure((0.0,), (5, 5))}), lambda *_: None, lambda _: None, now=lambda: now[0])
    assert drift.is_due()
    drift.add([[1.0]], [], Rows(Classification()))
    assert not drift.is_due()
    now[0] += drifts.GAP_S
    assert drift.is_due()


@pytest.mark.parametrize(
    ("right", "rows", "low", "high"),
    # All or nothing of n: z2 / (n + z2) is the other end.
    [(40, 50, 0.6696, 0.8876), (0, 10, 0.0, 3.841459 / 13.841459), (10, 10, 1 - 3.841459 / 13.841459, 1.0)],
)
def test_the_interval_of_a_share_is_wilsons(right, rows, low, high):
    assert wilson(right, rows) == pytest.approx((low, high), abs=5e-5)


def changes(scores) -> list[float]:
    """Return the means that were reported with a change."""
    means, window = [], adaptive_window()
    assert window is not None, "pip install river"
    scores_seen = ScoreChanges(window, lambda mean, changed: means.append(mean) if changed else None)
    for part in np.array_split(scores, len(scores) // 50):
        scores_seen.add(part.tolist())
    return means


def test_scores_that_stay_alike_change_never_and_a_shift_is_seen_soon():
    draw = np.random.default_rng(3)
    alike = np.clip(draw.normal(0.9, 0.08, 200_000), 0, 1)
    assert changes(alike) == []
    lower = np.clip(draw.normal(0.85, 0.08, 2_000), 0, 1)
    assert changes(np.concatenate([alike[:20_000], lower]))
    assert changes(np.concatenate([alike[:20_000], lower]))[-1] == pytest.approx(0.85, abs=0.02)


def test_our_adwin_is_rivers():
    from river.drift import ADWIN

    draw = np.random.default_rng(4)
    scores = np.concatenate([draw.normal(0.9, 0.1, 3000), draw.normal(0.7, 0.1, 1000)]).tolist()
    adwin, changed_at = ADWIN(), []
    for index, score in enumerate(scores):
        adwin.update(score)
        if adwin.drift_detected:
            changed_at.append(index)
    ours: list[int] = []
    window = adaptive_window()
    assert window is not None
    changes_seen = ScoreChanges(window, lambda _, changed: ours.append(changed))
    for score in scores:
        changes_seen.add([score])
    assert ours.index(1) == changed_at[0]  # up to the first change, where river's begins anew and the paper's does not


def test_an_embedding_is_profiled_by_the_measures_that_live_ones_get():
    vectors = np.random.default_rng(5).normal(1, 1, (500, 32)).astype(np.float32)
    proven = msgspec.convert(profile({}, Outputs(first=vectors), REGRESSION), Profile)
    assert proven.embedding is not None
    predicted = REGRESSION.predictions(Outputs(first=vectors), None)
    live = embedding_measures(REGRESSION.prediction_measures(predicted)["embedding"], proven.embedding)
    assert set(live) == set(proven.measures) == {f"embedding.{name}" for name in ("norm", "cosine", "1", "2", "3", "4")}
    for name, measured in proven.measures.items():
        counts = np.bincount(bins_of(live[name], np.array(measured.edges)), minlength=len(measured.counts))
        assert counts.tolist() == list(measured.counts), name


def test_a_shifted_embedding_raises_an_alarm_and_an_unshifted_one_does_not():
    draw, p_values = np.random.default_rng(6), list[float]()
    proven = msgspec.convert(profile({}, Outputs(first=draw.normal(size=(3000, 16))), REGRESSION), Profile)
    drift = Drift(proven, lambda *_: None, p_values.append, now=iter(range(10**9)).__next__)
    for shift in (0.0, 0.3):
        rows = draw.normal(shift, 1, (drifts.WINDOW_ROWS, 16))
        drift.add([[0.0]] * len(rows), [{"values": row} for row in rows.tolist()], Rows(REGRESSION))
    assert p_values[0] > drifts.FALSE_ALARM > p_values[1]


def test_few_values_are_looked_at_one_by_one():
    document = profile({}, Outputs(first=np.arange(20.0).reshape(10, 2)), REGRESSION)
    assert set(document["measures"]) == {"value.0", "value.1"}
    live = REGRESSION.prediction_measures([{"values": [0.0, 1.0]}, {"values": [2.0, 3.0]}])
    assert {name: values.tolist() for name, values in live.items()} == {"value.0": [0, 2], "value.1": [1, 3]}


def test_an_archive_says_why_its_drift_is_not_judged(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert drifts.why_not_judged(tmp_path) == "no profile"
    (tmp_path / drifts.PROFILE).write_bytes(b"{}")
    assert drifts.why_not_judged(tmp_path) == f"no {VARIABLE}"
    assert drifts.make_drift(tmp_path, table_signature()) is None
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert drifts.why_not_judged(tmp_path) == ""
    monkeypatch.setattr(drifts, "find_spec", lambda _: None)
    assert drifts.why_not_judged(tmp_path) == "prometheus_client isn't installed"
