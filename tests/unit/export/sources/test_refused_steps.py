"""Steps of scikit-learn without a right graph are refused by name before any work, and others answer as the model."""

import importlib

import numpy as np
import onnxruntime
import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.sources.trees import TreeSource

pytest.importorskip("skl2onnx")
make_pipeline = pytest.importorskip("sklearn.pipeline").make_pipeline
linear = pytest.importorskip("sklearn.linear_model")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

DRAWS = np.random.default_rng(7)
TABLE = DRAWS.normal(size=(120, 4)).astype(np.float32)
FLAGS = (TABLE[:, 0] + TABLE[:, 1] > 0).astype(int)
CLASSES = np.digitize(TABLE[:, 0], [-0.5, 0.5])
VALUES = np.exp(TABLE[:, 0] + 0.1 * TABLE[:, 1]) * 40


def estimator(module, name, **options):
    return getattr(importlib.import_module(f"sklearn.{module}"), name)(**options)


def check_graph(model, table=TABLE):
    source, example = TreeSource(model), {"features": table}
    [(name, expected)] = source.answer(example).items()
    proto, _ = source.graph(example, {})
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    [answered] = session.run([name], {session.get_inputs()[0].name: table})
    assert answered.shape == expected.shape
    np.testing.assert_allclose(answered, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("step", "fix"),
    [
        (("impute", "KNNImputer"), "fit a SimpleImputer"),
        (("decomposition", "FactorAnalysis"), "fit a PCA"),
        (("preprocessing", "SplineTransformer"), "fit a PolynomialFeatures"),
        (("kernel_approximation", "RBFSampler"), "fit the model without RBFSampler"),
    ],
)
def test_a_step_without_a_right_graph_is_refused_by_name_wherever_it_stands(step, fix):
    for place in (
        lambda inner: inner,
        lambda inner: estimator("pipeline", "FeatureUnion", transformer_list=[("a", inner)]),
        lambda inner: estimator("compose", "ColumnTransformer", transformers=[("a", inner, [0, 1])]),
    ):
        model = make_pipeline(place(estimator(*step)), linear.LogisticRegression()).fit(TABLE, FLAGS)
        with pytest.raises(DefinitionError, match=f"  {step[1]}: the converter") as refusal:
            TreeSource(model)
        assert fix in refusal.value.fix


@pytest.mark.parametrize(
    ("model", "target", "what"),
    [
        (estimator("neighbors", "RadiusNeighborsRegressor", radius=9), VALUES, "the converter's graph of it fails"),
        (estimator("gaussian_process", "GaussianProcessClassifier"), CLASSES, "has 3 classes, and the conv"),
        (
            estimator("feature_selection", "RFE", estimator=linear.LogisticRegression()),
            FLAGS,
            "chooses columns and",
        ),
        (estimator("isotonic", "IsotonicRegression"), VALUES, "the converter doesn't know it"),
    ],
)
def test_a_model_without_a_right_graph_is_refused_by_name(model, target, what):
    table = TABLE[:, :1] if type(model).__name__ == "IsotonicRegression" else TABLE
    with pytest.raises(DefinitionError, match=what):
        TreeSource(model.fit(table, target))


def test_all_steps_that_no_graph_does_are_named_at_once():
    model = make_pipeline(
        estimator("decomposition", "NMF"), estimator("decomposition", "FastICA"), linear.LinearRegression()
    )
    with pytest.raises(DefinitionError) as refusal:
        TreeSource(model.fit(np.abs(TABLE), VALUES))
    assert "NMF: the converter" in str(refusal.value)
    assert "FastICA: the converter" in str(refusal.value)


@pytest.mark.parametrize("name", ["GaussianMixture", "BayesianGaussianMixture"])
def test_a_mixture_answers_as_it_does_in_scikit_learn(name):
    check_graph(estimator("mixture", name, n_components=2, random_state=0).fit(TABLE))


def test_scores_of_a_linear_detector_of_outliers_have_one_column():
    check_graph(estimator("linear_model", "SGDOneClassSVM", random_state=0).fit(TABLE))


@pytest.mark.parametrize(
    "step",
    [
        estimator("preprocessing", "KBinsDiscretizer"),
        estimator("feature_selection", "SelectKBest", k=1),
        estimator("feature_selection", "SelectPercentile", percentile=10),
    ],
)
def test_bins_and_the_choice_of_the_first_column_alone_need_no_other_options(step):
    model = make_pipeline(step, linear.LogisticRegression()).fit(TABLE, (TABLE[:, 0] > 0).astype(int))
    check_graph(model)
    assert "encode" not in vars(step) or step.encode == "onehot"  # the user's own model stays as it was


def members(module, name, inner, **options):
    """An ensemble of an estimator, for its option `estimator` or `estimators`."""
    several = name.startswith(("Voting", "Stacking"))
    return estimator(module, name, **({"estimators": [("a", inner)]} if several else {"estimator": inner}), **options)


@pytest.mark.parametrize(
    ("module", "name", "options"),
    [
        ("ensemble", "VotingClassifier", {"voting": "soft"}),
        ("ensemble", "StackingClassifier", {"cv": 2}),
        ("ensemble", "BaggingClassifier", {"n_estimators": 2}),
        ("multiclass", "OneVsRestClassifier", {}),
        ("model_selection", "GridSearchCV", {"param_grid": {}, "cv": 2}),
    ],
)
@pytest.mark.parametrize("is_behind", [True, False])
def test_a_member_without_a_graph_is_refused_by_name_however_deep_it_lies(module, name, options, is_behind):
    inner = make_pipeline(estimator("kernel_approximation", "RBFSampler"), linear.LogisticRegression())
    model = members(module, name, inner, **options)
    model = make_pipeline(estimator("preprocessing", "StandardScaler"), model) if is_behind else model
    with pytest.raises(DefinitionError, match="RBFSampler: the converter doesn't know it"):
        TreeSource(model.fit(TABLE, CLASSES))


def test_a_final_model_of_a_stack_without_a_graph_is_refused_by_name():
    final = estimator("kernel_ridge", "KernelRidge")
    model = members("ensemble", "StackingRegressor", linear.Ridge(), final_estimator=final).fit(TABLE, VALUES)
    with pytest.raises(DefinitionError, match="KernelRidge: the converter") as refusal:
        TreeSource(model)
    assert "fit an SVR" in refusal.value.fix


def test_a_member_with_a_transformed_target_is_refused_with_the_place_where_it_is_taken():
    inner = estimator(
        "compose", "TransformedTargetRegressor", regressor=linear.Ridge(), func=np.log1p, inverse_func=np.expm1
    )
    with pytest.raises(DefinitionError, match="TransformedTargetRegressor: the converter") as refusal:
        TreeSource(members("ensemble", "VotingRegressor", inner).fit(TABLE, VALUES))
    assert "fit it around the whole model" in refusal.value.fix


def test_members_that_choose_columns_by_name_are_refused_with_the_order_that_is_taken():
    frame = pytest.importorskip("pandas").DataFrame(TABLE, columns=[*"abcd"])
    branches = [("a", estimator("preprocessing", "StandardScaler"), ["a", "b"])]
    inner = make_pipeline(estimator("compose", "ColumnTransformer", transformers=branches), linear.LogisticRegression())
    with pytest.raises(DefinitionError, match="members of StackingClassifier choose columns") as refusal:
        TreeSource(members("ensemble", "StackingClassifier", inner, cv=2).fit(frame, CLASSES))
    assert "make_pipeline(ColumnTransformer(…), StackingClassifier(…))" in refusal.value.fix


@pytest.mark.parametrize("method", ["isotonic", "temperature"])
def test_scores_that_are_calibrated_by_steps_or_a_temperature_are_refused(method):
    model = members("calibration", "CalibratedClassifierCV", linear.LogisticRegression(), method=method, cv=2)
    with pytest.raises(DefinitionError, match=f"method='{method}'") as refusal:
        TreeSource(model.fit(TABLE, CLASSES))
    assert refusal.value.fix == "fit it with method='sigmoid'"


def test_a_search_within_a_model_answers_as_its_best_model():
    inner = estimator(
        "model_selection",
        "RandomizedSearchCV",
        estimator=linear.LogisticRegression(),
        param_distributions={"C": [1, 2]},
        n_iter=2,
        cv=2,
    )
    model = make_pipeline(estimator("preprocessing", "StandardScaler"), inner).fit(TABLE, CLASSES)
    check_graph(model)
    assert model[-1] is not model[-1].best_estimator_  # the user's own model stays as it was


def test_trees_that_split_by_categories_are_refused_by_name():
    ensemble = pytest.importorskip("sklearn.ensemble")
    table = np.random.default_rng(0).integers(0, 4, (60, 2)).astype(float)
    trees = ensemble.HistGradientBoostingRegressor(max_iter=2, categorical_features=[1])
    for model in (trees, ensemble.VotingRegressor([("trees", trees)])):
        with pytest.raises(DefinitionError, match="HistGradientBoostingRegressor splits by categories") as no:
            TreeSource(model.fit(table, table[:, 0]))
        assert "OrdinalEncoder" in no.value.fix


def test_categories_of_a_frame_behind_other_steps_are_refused_by_name():
    pd, compose, pipeline, lightgbm = (
        pytest.importorskip(name) for name in ("pandas", "sklearn.compose", "sklearn.pipeline", "lightgbm")
    )
    frame = pd.DataFrame({"town": pd.Categorical(["Bern", "Chur"] * 30), "age": np.arange(60.0)})
    kept = compose.ColumnTransformer([("kept", "passthrough", ["town", "age"])]).set_output(transform="pandas")
    booster = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1, n_jobs=1)
    with pytest.raises(DefinitionError, match="LGBMRegressor was fitted to categories of a data frame behind"):
        TreeSource(pipeline.make_pipeline(kept, booster).fit(frame, frame["age"]))
    assert TreeSource(booster.fit(frame, frame["age"])).name == "lightgbm"
