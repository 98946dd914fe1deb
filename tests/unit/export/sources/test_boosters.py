"""Boosters of LightGBM and XGBoost alone, as steps and as members of other models: graphs answer as the models do."""

import numpy as np
import onnxruntime
import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.sources.trees import TreeSource

pytest.importorskip("skl2onnx")
compose, ensemble, linear, pipeline, preprocessing = (
    pytest.importorskip(f"sklearn.{name}")
    for name in ("compose", "ensemble", "linear_model", "pipeline", "preprocessing")
)
calibration, multioutput, search, multiclass = (
    pytest.importorskip(f"sklearn.{name}") for name in ("calibration", "multioutput", "model_selection", "multiclass")
)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

DRAWS = np.random.default_rng(0)
# Two decimals make thresholds that lie between numbers of three, which rows then hit.
TABLE = DRAWS.normal(size=(300, 4)).round(2)
ROWS = np.concatenate([TABLE, DRAWS.normal(size=(500, 4)).round(3)])
ROWS = np.where(DRAWS.random(ROWS.shape) < 0.1, np.nan, ROWS)
FLAGS = (TABLE[:, 0] + TABLE[:, 1] > 0).astype(int)
CLASSES = np.digitize(TABLE[:, 0] + TABLE[:, 1] ** 2, [0.2, 1.0])
VALUES = TABLE[:, 0] * 2 + TABLE[:, 1]
COUNTS = np.exp(VALUES / 2)


def lightgbm(kind, **options):
    return getattr(pytest.importorskip("lightgbm"), f"LGBM{kind}")(n_estimators=5, verbose=-1, n_jobs=1, **options)


def xgboost(kind, **options):
    return getattr(pytest.importorskip("xgboost"), f"XGB{kind}")(n_estimators=5, n_jobs=1, **options)


MAKERS = {"lightgbm": lightgbm, "xgboost": xgboost}


def behind(model):
    return pipeline.make_pipeline(preprocessing.StandardScaler(), model)


def answers(model, tensors):
    """What the model and its graph answer."""
    source = TreeSource(model)
    [(name, expected)] = source.run(tensors).items()
    proto, _ = source.graph({key: array[:3] for key, array in tensors.items()}, {})
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return expected, session.run([name], tensors)[0]


def check(model, dtype="float64", rows=ROWS):
    expected, answered = answers(model, {"features": rows.astype(dtype)})
    assert answered.shape == expected.shape
    np.testing.assert_allclose(answered, expected, atol=1e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("library", MAKERS)
@pytest.mark.parametrize(
    ("kind", "target"), [("Classifier", FLAGS), ("Classifier", CLASSES), ("Regressor", VALUES)], ids=str
)
def test_a_booster_behind_a_scaler_answers_as_it_does_at_every_threshold_and_without_values(library, kind, target):
    check(behind(MAKERS[library](kind)).fit(TABLE, target))


def test_labels_of_texts_may_be_a_boosters_behind_a_scaler():
    check(behind(lightgbm("Classifier")).fit(TABLE, np.array(["no", "so", "yes"])[CLASSES]))


@pytest.mark.parametrize("library", MAKERS)
@pytest.mark.parametrize(
    "around",
    [
        lambda inner: ensemble.VotingClassifier([("a", inner), ("b", behind(inner))], voting="soft"),
        lambda inner: ensemble.BaggingClassifier(inner, 2, max_features=0.5, random_state=0),
        multiclass.OneVsRestClassifier,
        lambda inner: calibration.CalibratedClassifierCV(inner, cv=2),
        lambda inner: behind(search.RandomizedSearchCV(inner, {"max_depth": [2, 3]}, n_iter=2, cv=2)),
        lambda inner: ensemble.StackingClassifier(
            [("a", inner), ("b", search.GridSearchCV(inner, {"max_depth": [2, 3]}, cv=2))], inner, cv=2
        ),
    ],
    ids=["vote", "bagging", "one against the rest", "calibration", "search", "stacking"],
)
@pytest.mark.parametrize("target", [FLAGS, CLASSES], ids=["two", "three"])
def test_boosters_are_members_of_ensembles_and_the_best_of_searches(library, around, target):
    check(around(MAKERS[library]("Classifier")).fit(TABLE, target))


@pytest.mark.parametrize("library", MAKERS)
def test_a_booster_for_each_of_several_targets(library):
    check(multioutput.MultiOutputRegressor(behind(MAKERS[library]("Regressor"))).fit(TABLE, np.c_[VALUES, COUNTS]))


@pytest.mark.parametrize("is_behind", [True, False])
@pytest.mark.parametrize(
    ("kind", "options", "target"),
    [
        ("Classifier", {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, CLASSES),
        ("Regressor", {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, VALUES),
        ("Classifier", {"boosting_type": "dart"}, FLAGS),
        ("Classifier", {"objective": "binary", "sigmoid": 2.0}, FLAGS),
        ("Regressor", {"objective": "fair"}, VALUES),
        ("Regressor", {"objective": "mape"}, COUNTS),
        ("Regressor", {"objective": "poisson"}, COUNTS),
    ],
    ids=str,
)
def test_forests_and_objectives_of_lightgbm_have_the_factors_of_their_answers(is_behind, kind, options, target):
    model = lightgbm(kind, **options)
    check((behind(model) if is_behind else model).fit(TABLE, target))


def test_a_missing_value_is_zero_to_a_booster_that_saw_none():
    for column in range(4):
        rows = np.where(np.arange(4) == column, np.nan, TABLE)
        for dtype in ("float32", "float64"):
            check(lightgbm("Regressor").fit(TABLE, TABLE[:, column] + VALUES), dtype, rows)


def frame_of(count):
    pd, draws = pytest.importorskip("pandas"), np.random.default_rng(count)
    frame = pd.DataFrame({"amount": draws.normal(size=count).round(2), "plan": draws.choice(["a", "b", "c"], count)})
    frame["note"] = draws.choice(["so good", "so bad", "never again"], count)
    return frame, (frame["amount"] + (frame["plan"] == "a") + (frame["note"] == "so good") > 0.8).astype(int)


@pytest.mark.parametrize("library", MAKERS)
@pytest.mark.parametrize("is_sparse", [True, False])
def test_categories_and_words_reach_a_booster_as_the_pipeline_gives_them_sparse_or_not(library, is_sparse):
    # To XGBoost the zeros of a sparse table are missing values.
    text = pytest.importorskip("sklearn.feature_extraction.text")
    branches = [
        ("plan", preprocessing.OneHotEncoder(handle_unknown="ignore"), ["plan"]),
        ("amount", "passthrough", ["amount"]),
        ("note", text.TfidfVectorizer(), "note"),
    ]
    encoder = compose.ColumnTransformer(branches, sparse_threshold=float(is_sparse))
    model = pipeline.make_pipeline(encoder, MAKERS[library]("Classifier")).fit(*frame_of(400))
    frame, _ = frame_of(200)
    frame.loc[:5, "plan"] = "elsewhere"
    frame.loc[6:20, "amount"] = 0.0
    tensors = {name: frame[[name]].to_numpy().astype(str) for name in ("plan", "note")}
    tensors = {"amount": frame[["amount"]].to_numpy(np.float32), **tensors}
    expected, answered = answers(model, tensors)
    np.testing.assert_allclose(answered, expected, atol=1e-5)
    assert not vars(model[-1]).keys() & {"predict", "predict_proba"}  # the user's own model stays as it was


@pytest.mark.parametrize(
    ("library", "kind", "options", "target", "words"),
    [
        (
            "lightgbm",
            "Classifier",
            {"objective": "multiclassova"},
            CLASSES,
            ("is multiclassova", "multiclass"),
        ),
        ("lightgbm", "Regressor", {"reg_sqrt": True}, VALUES, ("reg_sqrt takes roots", "TransformedTargetRegressor")),
        ("lightgbm", "Regressor", {"linear_tree": True}, VALUES, ("linear_tree puts", "without linear_tree")),
        ("lightgbm", "Regressor", {"zero_as_missing": True}, VALUES, ("zero_as_missing", "to NaN")),
        (
            "xgboost",
            "Regressor",
            {"objective": "reg:logistic"},
            FLAGS,
            ("is reg:logistic", "reg:squarederror"),
        ),
        ("xgboost", "Regressor", {"booster": "dart"}, VALUES, ("its booster is dart", "gbtree")),
        ("xgboost", "Regressor", {"missing": -1}, VALUES, ("missing=-1 stands for", "NaN")),
        ("xgboost", "Regressor", {}, np.c_[VALUES, COUNTS], ("several targets", "MultiOutputRegressor")),
    ],
    ids=str,
)
@pytest.mark.parametrize("is_behind", [True, False])
def test_a_booster_whose_answers_no_graph_gives_is_refused_by_name(is_behind, library, kind, options, target, words):
    model = MAKERS[library](kind, **options)
    with pytest.raises(DefinitionError, match=words[0]) as refusal:
        TreeSource((behind(model) if is_behind else model).fit(TABLE, target))
    assert words[1] in refusal.value.fix
