"""The estimators within a model: all that were fitted, however deep, and none that are parameters."""

import pytest

from onnxserve_export.sources.model_parts import parts

ensemble, calibration, linear, pipeline, preprocessing, selection = (
    pytest.importorskip(f"sklearn.{name}")
    for name in ("ensemble", "calibration", "linear_model", "pipeline", "preprocessing", "model_selection")
)
TABLE, LABELS = [[float(number), number % 3] for number in range(12)], [0, 1] * 6


def member():
    return pipeline.make_pipeline(preprocessing.StandardScaler(), linear.LogisticRegression())


@pytest.mark.parametrize(
    ("model", "scalers"),
    [
        (member(), 1),
        (ensemble.VotingClassifier([("a", member()), ("b", member())]), 2),
        (ensemble.StackingClassifier([("a", member())], member(), cv=2), 2),
        (calibration.CalibratedClassifierCV(member(), cv=2), 2),
        (selection.GridSearchCV(member(), {"logisticregression__C": [1, 2]}, cv=2), 1),
        (ensemble.BaggingClassifier(member(), 3), 3),
        (pipeline.make_pipeline(pipeline.make_union(preprocessing.StandardScaler()), member()), 2),
    ],
)
def test_every_fitted_step_is_a_part_once(model, scalers):
    own = [part for part in parts(model.fit(TABLE, LABELS)) if isinstance(part, preprocessing.StandardScaler)]
    assert len(own) == scalers
    assert len({id(part) for part in own}) == scalers
    assert all(hasattr(part, "mean_") for part in own)
