"""Fitted models: columns and classes as the model knows them."""

import importlib

import numpy as np
import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.importing.fitted import columns_of, read_fitted
from onnxserve_export.importing.fitted_columns import typed_columns
from onnxserve_export.importing.outline import Fact, Outline
from onnxserve_export.sources.tree_files import open_trees
from onnxserve_export.sources.trees import TreeSource

linear = pytest.importorskip("sklearn.linear_model")
skops = pytest.importorskip("skops.io")
make_pipeline = pytest.importorskip("sklearn.pipeline").make_pipeline


def outline_of(model, tmp_path):
    skops.dump(model, tmp_path / "model.skops")
    outline = Outline("model.skops", {})
    read_fitted(outline, open_trees(tmp_path / "model.skops"))
    outline.check()
    return outline


def test_a_classifier_has_columns_by_number_and_its_classes(tmp_path):
    outline = outline_of(linear.LogisticRegression().fit([[0.0, 1], [1, 0]], ["no", "yes"]), tmp_path)
    assert outline.get("input.columns") == ["x0", "x1"]
    assert (outline.get("output.task"), outline.get("output.labels")) == ("classification", ["no", "yes"])


def test_a_regressor_gives_values(tmp_path):
    outline = outline_of(linear.LinearRegression().fit([[0.0], [1]], [1.0, 2]), tmp_path)
    assert outline.get("output.task") == "regression"


def test_columns_of_a_table_with_names_keep_them():
    class Named:
        feature_names_in_ = ("age", "income")

    assert columns_of(Named()) == (["age", "income"], "the model's feature_names_in_")


def test_a_model_that_knows_no_names_says_where_they_come_from():
    class Numbered:
        n_features_in_ = 2

    names, origin = columns_of(Numbered())
    assert names == ["x0", "x1"]
    assert "--columns" in origin


def test_classes_of_a_booster_without_names_are_asked_for(tmp_path):
    lightgbm = pytest.importorskip("lightgbm")
    data = lightgbm.Dataset(np.eye(2).repeat(30, axis=0), [0] * 30 + [1] * 30, feature_name=["age", "income"])
    booster = lightgbm.train({"objective": "binary", "verbose": -1}, data, num_boost_round=2)
    booster.save_model(tmp_path / "model.txt")
    outline = Outline("model.txt", {})
    read_fitted(outline, open_trees(tmp_path / "model.txt"))
    assert outline.get("input.columns") == ["age", "income"]
    with pytest.raises(DefinitionError, match=r"output\.labels: a booster has no names of classes"):
        outline.check()


def test_a_classifier_of_several_labels_a_row_is_no_classification():
    multiclass = pytest.importorskip("sklearn.multiclass")
    table, flags = [[0.0, 1], [1, 0], [1, 1]], np.array([[1, 0], [0, 1], [1, 1]])
    model = multiclass.OneVsRestClassifier(linear.LogisticRegression()).fit(table, flags)
    outline = Outline("model.pkl", {})
    read_fitted(outline, TreeSource(model))
    assert (outline.get("output.task"), outline.get("output.labels")) == ("multilabel", ["0", "1"])


def test_a_classifier_of_several_targets_is_refused():
    ensemble = pytest.importorskip("sklearn.ensemble")
    model = ensemble.RandomForestClassifier(n_estimators=1).fit([[0.0], [1.0]], [[0, 1], [1, 0]])
    with pytest.raises(DefinitionError, match="classifies several targets"):
        TreeSource(model)


def test_a_pipeline_says_which_columns_are_texts_and_which_may_be_empty():
    pd = pytest.importorskip("pandas")
    compose, impute, preprocessing = (
        importlib.import_module(f"sklearn.{name}") for name in ("compose", "impute", "preprocessing")
    )
    frame = pd.DataFrame(
        {"age": [1.0, None, 3.0], "town": ["Bern", np.nan, "Chur"], "plan": ["a", "b", "a"], "size": [1.0, 2.0, 3.0]}
    )
    texts = make_pipeline(impute.SimpleImputer(strategy="constant", fill_value="none"), preprocessing.OneHotEncoder())
    branches = [
        ("age", impute.SimpleImputer(), ["age"]),
        ("town", texts, ["town"]),
        ("plan", preprocessing.OrdinalEncoder(), [2]),
    ]
    encoder = compose.ColumnTransformer(branches, remainder="passthrough")
    model = make_pipeline(encoder, linear.LogisticRegression()).fit(frame, [0, 1, 0])
    assert typed_columns(model) == [
        {"name": "age", "nullable": True},
        {"name": "town", "type": "text", "categories": ["Bern", "Chur", "none"], "nullable": True, "fill": "none"},
        {"name": "plan", "type": "text", "categories": ["a", "b"]},
        "size",
    ]
    numbers = make_pipeline(preprocessing.StandardScaler(), linear.LogisticRegression())
    assert typed_columns(numbers.fit(frame[["size"]], [0, 1, 0])) == []


def test_numbers_that_a_first_step_fills_in_may_be_empty_and_names_of_the_users_own_keep_that():
    impute = pytest.importorskip("sklearn.impute")
    model = make_pipeline(impute.SimpleImputer(), linear.LogisticRegression()).fit([[1.0, np.nan], [2, 3]], [0, 1])
    outline = Outline("model.skops", {"input.columns": Fact(["age", "size"], "--columns")})
    read_fitted(outline, TreeSource(model))
    assert outline.get("input.columns") == [{"name": "age", "nullable": True}, {"name": "size", "nullable": True}]
    assert outline.get("input.tensors") is None


def test_a_column_is_null_only_if_all_steps_that_read_it_take_null():
    pd, compose, impute, preprocessing = (
        pytest.importorskip(name) for name in ("pandas", "sklearn.compose", "sklearn.impute", "sklearn.preprocessing")
    )
    frame = pd.DataFrame({"age": [1.0, 2.0, 3.0], "size": [1.0, 2.0, 3.0]})
    branches = [
        ("filled", impute.SimpleImputer(), ["age", "size"]),
        ("scaled", preprocessing.StandardScaler(), ["size"]),
    ]
    model = make_pipeline(compose.ColumnTransformer(branches), linear.LogisticRegression()).fit(frame, [0, 1, 0])
    assert typed_columns(model) == [{"name": "age", "nullable": True}, "size"]
    outline = Outline("model.skops", {})
    read_fitted(outline, TreeSource(model))
    assert outline.get("input.tensors") == "columns"


def test_a_column_without_a_value_which_an_imputer_drops_moves_no_others():
    pd, impute, preprocessing = (
        pytest.importorskip(name) for name in ("pandas", "sklearn.impute", "sklearn.preprocessing")
    )
    frame = pd.DataFrame({"note": [np.nan] * 3, "town": ["Bern", np.nan, "Bern"]}, dtype=object)
    steps = [impute.SimpleImputer(strategy="most_frequent"), preprocessing.OneHotEncoder(handle_unknown="ignore")]
    with pytest.warns(UserWarning, match="without any observed values"):
        model = make_pipeline(*steps, linear.LogisticRegression()).fit(frame, [0, 1, 0])
    assert typed_columns(model) == ["note", {"name": "town", "type": "text", "nullable": True, "fill": "Bern"}]


def test_an_encoder_that_refuses_nothing_knows_texts_without_limiting_them():
    pd, preprocessing = pytest.importorskip("pandas"), pytest.importorskip("sklearn.preprocessing")
    frame = pd.DataFrame({"town": ["Bern", "Chur"] * 20})
    model = make_pipeline(preprocessing.TargetEncoder(), linear.LogisticRegression()).fit(frame, [0, 1] * 20)
    assert typed_columns(model) == [{"name": "town", "type": "text"}]


def test_a_pipeline_of_texts_has_one_column_whose_name_the_user_may_give():
    text = pytest.importorskip("sklearn.feature_extraction.text")
    model = make_pipeline(text.TfidfVectorizer(), linear.LogisticRegression()).fit(["so good", "so bad"], ["yes", "no"])
    for answers, name in (({}, "text"), ({"input.columns": Fact(["review"], "--columns")}, "review")):
        outline = Outline("model.skops", answers)
        read_fitted(outline, TreeSource(model))
        assert outline.get("input.columns") == [{"name": name, "type": "text", "lower": True}]
        assert (outline.get("input.kind"), outline.get("input.tensors")) == ("table", "columns")


def test_a_client_sends_no_column_that_a_pipeline_drops():
    pd, compose, preprocessing = (
        pytest.importorskip(name) for name in ("pandas", "sklearn.compose", "sklearn.preprocessing")
    )
    frame = pd.DataFrame({"id": [7, 8, 9], "age": [1.0, 2.0, 3.0], "note": ["x", "y", "z"], "size": [1.0, 2.0, 3.0]})
    scaled = compose.ColumnTransformer([("scaled", preprocessing.StandardScaler(), ["size", "age"])])
    model = make_pipeline(scaled, linear.LogisticRegression()).fit(frame, [0, 1, 0])
    for answers in ({}, {"input.columns": Fact(["id", "age", "note", "size"], "--columns")}):
        outline = Outline("model.skops", answers)
        read_fitted(outline, TreeSource(model))
        assert outline.get("input.columns") == ["age", "size"]
        assert (outline.get("input.kind"), outline.get("input.tensors")) == ("table", "columns")
        assert "the pipeline drops: id, note" in dict(outline.section("input"))["columns"].origin
    table = {name: np.array([[1.0], [2.5]], np.float32) for name in ("size", "age")}
    np.testing.assert_allclose(
        TreeSource(model).run(table)["scores"], model.predict_proba(frame.iloc[:2].assign(age=[1, 2.5], size=[1, 2.5]))
    )


def test_a_column_that_one_branch_drops_and_another_fills_in_may_be_empty():
    pd, compose, impute = (pytest.importorskip(name) for name in ("pandas", "sklearn.compose", "sklearn.impute"))
    frame = pd.DataFrame({"age": [1.0, np.nan, 3.0], "size": [1.0, 2.0, 3.0]})
    branches = [("filled", impute.SimpleImputer(), ["age"]), ("none", "drop", ["age", "size"])]
    model = make_pipeline(compose.ColumnTransformer(branches), linear.LogisticRegression()).fit(frame, [0, 1, 0])
    assert typed_columns(model) == [{"name": "age", "nullable": True}]


@pytest.mark.parametrize(
    ("module", "name", "values"),
    [("ensemble", "IsolationForest", "scores: below 0 is an outlier"), ("cluster", "KMeans", "the distances to its")],
)
def test_what_the_values_of_a_model_without_classes_are_is_said(tmp_path, module, name, values):
    cls = getattr(pytest.importorskip(f"sklearn.{module}"), name)
    outline = Outline("model.pkl", {})
    read_fitted(outline, TreeSource(cls().fit(np.random.default_rng(0).normal(size=(40, 2)))))
    task = dict(outline.section("output"))["task"]
    assert task.value == "regression"
    assert values in task.origin


def test_classes_of_a_mixture_are_asked_for():
    mixture = pytest.importorskip("sklearn.mixture")
    outline = Outline("model.pkl", {})
    read_fitted(outline, TreeSource(mixture.GaussianMixture(2).fit(np.random.default_rng(0).normal(size=(40, 2)))))
    with pytest.raises(DefinitionError, match="GaussianMixture has no names of classes"):
        outline.check()


@pytest.mark.parametrize(
    ("numbers", "encoder", "column"),
    [
        ([0, 1, 2], {}, {"name": "code", "type": "integer", "minimum": 0, "maximum": 2}),
        ([0, 2, 4], {}, {"name": "code", "type": "integer"}),
        ([0.0, 1.0, 2.0], {"handle_unknown": "ignore"}, {"name": "code", "type": "integer"}),
        ([True, False, True], {}, {"name": "code", "type": "boolean"}),
        ([0.5, 1.0, 2.0], {}, "code"),
    ],
)
def test_an_encoder_says_whether_its_numbers_are_whole_and_which_it_refuses(numbers, encoder, column):
    pd, preprocessing = pytest.importorskip("pandas"), pytest.importorskip("sklearn.preprocessing")
    frame = pd.DataFrame({"code": numbers, "size": [1.0, 2.0, 3.0]})
    branches = [("code", preprocessing.OneHotEncoder(**encoder), ["code"]), ("size", "passthrough", ["size"])]
    model = sklearn_compose().ColumnTransformer(branches).fit(frame)
    assert typed_columns(model) == ([] if column == "code" else [column, "size"])


@pytest.mark.parametrize(
    ("filling", "fields"), [(2, {"type": "integer", "nullable": True, "fill": 2}), (0.5, {"nullable": True})]
)
def test_whole_numbers_that_are_filled_in_before_an_encoder_have_that_filling(filling, fields):
    pd, preprocessing, impute, pipeline = (
        pytest.importorskip(name) for name in ("pandas", "sklearn.preprocessing", "sklearn.impute", "sklearn.pipeline")
    )
    steps = impute.SimpleImputer(strategy="constant", fill_value=filling), preprocessing.OneHotEncoder()
    branches = [("code", pipeline.make_pipeline(*steps), ["code"])]
    model = sklearn_compose().ColumnTransformer(branches).fit(pd.DataFrame({"code": [0.0, 1.0, filling]}))
    model.named_transformers_["code"][1].categories_[0] = np.array([0.0, 1.0, 2.0])
    assert typed_columns(model) == [
        {"name": "code"} | fields | ({"minimum": 0, "maximum": 2} if "type" in fields else {})
    ]


def sklearn_compose():
    return pytest.importorskip("sklearn.compose")
