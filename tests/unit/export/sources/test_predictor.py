"""What fitted models answer: scores, values, or nothing that a graph gives, which is refused by name."""

import importlib
import json
import sys
import types

import numpy as np
import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.run import run_graph
from onnxserve_export.sources.trees import TreeSource
from tests.unit.export.sources.test_trees import CLASSES, ROWS, TABLE, sklearn_ensemble, sklearn_linear


def test_a_transformer_alone_is_no_model():
    scaler = importlib.import_module("sklearn.preprocessing").StandardScaler().fit(TABLE)
    with pytest.raises(DefinitionError, match="StandardScaler has no predict"):
        TreeSource(scaler)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("module", "name", "method"),
    [
        ("ensemble", "IsolationForest", "decision_function"),
        ("svm", "OneClassSVM", "decision_function"),
        ("cluster", "KMeans", "transform"),
    ],
)
@pytest.mark.parametrize("is_scaled", [True, False])
def test_detectors_of_outliers_give_scores_and_clusters_distances(module, name, method, is_scaled, tmp_path):
    pipeline, preprocessing = (importlib.import_module(f"sklearn.{name}") for name in ("pipeline", "preprocessing"))
    steps = [preprocessing.StandardScaler()] if is_scaled else []
    detector = getattr(importlib.import_module(f"sklearn.{module}"), name)()
    if "random_state" in detector.get_params():  # other trees may split a row beside a scaled number, as float32 rounds
        detector.set_params(random_state=0)
    own = pipeline.make_pipeline(*steps, detector).fit(TABLE)
    model = TreeSource(own)
    expected = getattr(own, method)(ROWS["features"]).reshape(len(ROWS["features"]), -1)
    np.testing.assert_allclose(model.run(ROWS)["values"], expected)
    (tmp_path / "graph.onnx").write_bytes(model.graph(ROWS, {})[0].SerializeToString())
    [outputs] = run_graph(tmp_path / "graph.onnx", [ROWS])
    np.testing.assert_allclose(outputs["values"], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("module", "name", "options", "fix"),
    [
        ("neighbors", "LocalOutlierFactor", {}, "novelty=True"),
        ("cluster", "DBSCAN", {}, "KMeans"),
    ],
)
def test_a_model_that_answers_the_rows_of_its_fit_alone_is_refused(module, name, options, fix):
    model = getattr(importlib.import_module(f"sklearn.{module}"), name)(**options).fit(TABLE)
    with pytest.raises(DefinitionError, match=name) as caught:
        TreeSource(model)
    assert fix in caught.value.fix


def test_a_calibrated_pipeline_is_refused_with_the_order_that_is_taken():
    calibration, pipeline, preprocessing = (
        importlib.import_module(f"sklearn.{name}") for name in ("calibration", "pipeline", "preprocessing")
    )
    scaled = pipeline.make_pipeline(preprocessing.StandardScaler(), sklearn_linear.LogisticRegression())
    with pytest.raises(DefinitionError, match="CalibratedClassifierCV was fitted around a pipeline") as caught:
        TreeSource(calibration.CalibratedClassifierCV(scaled, cv=2).fit(TABLE, CLASSES))
    assert "make_pipeline(…, CalibratedClassifierCV(…))" in caught.value.fix
    alone = calibration.CalibratedClassifierCV(sklearn_linear.LogisticRegression(), cv=2)
    last = pipeline.make_pipeline(preprocessing.StandardScaler(), alone).fit(TABLE, CLASSES)
    assert TreeSource(last).run(ROWS)["scores"].shape == (len(ROWS["features"]), 3)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_network_of_several_labels_a_row_is_refused_with_what_is_taken():
    network = importlib.import_module("sklearn.neural_network").MLPClassifier((2,), max_iter=2)
    with pytest.raises(DefinitionError, match="several labels a row") as caught:
        TreeSource(network.fit(TABLE, np.stack([CLASSES > 0, CLASSES > 1], axis=1).astype(int)))
    assert "OneVsRestClassifier(MLPClassifier(…))" in caught.value.fix


def test_a_vote_without_scores_is_to_be_a_soft_one():
    members = [("a", sklearn_linear.LogisticRegression()), ("b", sklearn_linear.RidgeClassifier())]
    with pytest.raises(DefinitionError, match="VotingClassifier gives labels without scores") as caught:
        TreeSource(sklearn_ensemble.VotingClassifier(members).fit(TABLE, CLASSES))
    assert caught.value.fix == "fit it with voting='soft'"


def test_a_classifier_without_scores_says_how_it_gets_them():
    model = sklearn_linear.RidgeClassifier().fit([[0.0], [1.0]], ["a", "b"])
    with pytest.raises(DefinitionError, match="RidgeClassifier gives labels without scores") as caught:
        TreeSource(model)
    assert "CalibratedClassifierCV" in caught.value.fix


def test_a_booster_that_gives_classes_in_place_of_scores_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "xgboost", types.ModuleType("xgboost"))
    config = json.dumps({"learner": {"objective": {"name": "multi:softmax"}}})
    booster = type("Booster", (), {"__module__": "xgboost.core", "save_config": lambda _: config})()
    with pytest.raises(DefinitionError, match="the objective multi:softmax gives no scores") as caught:
        TreeSource(booster)
    assert "multi:softprob" in caught.value.fix
