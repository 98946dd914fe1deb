"""Graphs give the outputs of regressors as the library does, and take classes and columns of any name."""

import numpy as np
import onnxruntime
import pytest

from onnxserve_export.sources.trees import TreeSource

pytest.importorskip("skl2onnx")
compose, ensemble, network, pipeline, preprocessing, tree = (
    pytest.importorskip(f"sklearn.{name}")
    for name in ("compose", "ensemble", "neural_network", "pipeline", "preprocessing", "tree")
)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

TABLE = np.random.default_rng(0).normal(size=(200, 3)).round(1)
SIZES = np.exp(TABLE[:, 0]) + 0.1
TARGETS = np.column_stack([TABLE[:, 0], -TABLE[:, 1] * 3, TABLE[:, 2] ** 2])
CLASSES = np.digitize(TABLE[:, 0], [-0.5, 0.5])


def answers(model, arrays):
    """The output of a model's graph, by its name, for each of two types of numbers."""
    source = TreeSource(model)
    for dtype in (np.float32, np.float64):
        feeds = {name: array.astype(dtype) for name, array in arrays.items()}
        graph, _ = source.graph({name: array[:3] for name, array in feeds.items()}, {})
        session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
        [expected] = source.run(feeds).items()
        [output] = session.get_outputs()
        yield expected, (output.name, session.run(None, feeds)[0])


def check(model, table=TABLE):
    for (name, expected), (output, given) in answers(model, {"features": table}):
        assert (output, given.shape) == (name, expected.shape)
        np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("loss", ["poisson", "gamma", "squared_error"])
def test_sums_of_trees_that_are_logarithms_become_sizes(loss):
    trees = ensemble.HistGradientBoostingRegressor(loss=loss, max_iter=5)
    check(pipeline.make_pipeline(preprocessing.MinMaxScaler(), trees).fit(TABLE.round(0), SIZES), TABLE.round(0))


@pytest.mark.parametrize(
    "model",
    [
        network.MLPRegressor(max_iter=20, random_state=0),
        ensemble.BaggingRegressor(tree.DecisionTreeRegressor(max_depth=3), n_estimators=3, random_state=0),
        ensemble.RandomForestRegressor(3, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_several_targets_stand_beside_each_other(model):
    check(model.fit(TABLE, TARGETS))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32])
def test_classes_of_any_kind_of_numbers_are_taken(dtype):
    model = ensemble.AdaBoostClassifier(n_estimators=3, random_state=0).fit(TABLE, (CLASSES > 0).astype(dtype))
    check(model)
    assert model.classes_.dtype == dtype  # the user's own model stays


@pytest.mark.parametrize("names", [["scores", "variable", "values"], ["scores", "scores_out", "label"]])
def test_columns_may_have_the_names_of_outputs(names):
    frame = pytest.importorskip("pandas").DataFrame(TABLE, columns=names)
    scaled = compose.ColumnTransformer([("scaled", preprocessing.MaxAbsScaler(), names)])
    model = pipeline.make_pipeline(scaled, ensemble.RandomForestClassifier(3)).fit(frame, CLASSES)
    *_, ((name, expected), (output, given)) = answers(model, {name: TABLE[:, [k]] for k, name in enumerate(names)})
    assert output == name
    assert name not in names
    np.testing.assert_allclose(given, expected, atol=1e-5)
