"""Categories of boosters: as the model's file has them, and as requests and graphs spell them."""

from typing import Any

import numpy as np
import onnxruntime
import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.importing.fitted import read_fitted
from onnxserve_export.importing.outline import Outline
from onnxserve_export.sources.tree_files import open_trees
from onnxserve_export.sources.trees import TreeSource


def test_categories_of_a_data_frame_are_those_that_lightgbm_was_fitted_to(tmp_path):
    lightgbm, pd = pytest.importorskip("lightgbm"), pytest.importorskip("pandas")
    draws = np.random.default_rng(0)
    frame = pd.DataFrame({"amount": draws.normal(size=300)})
    frame["plan"] = pd.Categorical(draws.choice(["pro", "basic"], 300), categories=["pro", "basic", "team"])
    frame["seats"] = pd.Categorical(draws.choice([10, 20], 300))
    target = frame.amount + (frame.plan == "pro") + (frame.seats == 20)
    model = lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(frame, target)
    model.booster_.save_model(tmp_path / "model.txt")
    category = {"type": "category", "unknown": "nan", "nullable": True}
    for source in (TreeSource(model), open_trees(tmp_path / "model.txt")):
        outline = Outline("model.txt", {})
        read_fitted(outline, source)
        assert outline.get("input.columns") == [
            "amount",
            {"name": "plan", "categories": ["pro", "basic", "team"], **category},
            {"name": "seats", "categories": ["10", "20"], **category},
        ]


@pytest.mark.parametrize("others", [0, 1])
def test_a_column_with_one_category_leaves_the_others_what_they_are_or_is_asked_for(others):
    lightgbm, pd = pytest.importorskip("lightgbm"), pytest.importorskip("pandas")
    draws = np.random.default_rng(0)
    frame = pd.DataFrame({f"constant {number}": np.ones(300) for number in range(others)})
    frame["country"] = pd.Categorical(["se"] * 300)
    frame["plan"] = pd.Categorical(draws.choice(["pro", "basic"], 300), categories=["pro", "basic"])
    model = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(frame, (frame.plan == "pro").astype(float))
    outline = Outline("model.txt", {})
    read_fitted(outline, TreeSource(model))
    if others:  # which of the two columns with one value has categories isn't in the model
        with pytest.raises(DefinitionError, match="2 columns are categories of a data frame"):
            outline.check()
        return
    category = {"type": "category", "unknown": "nan", "nullable": True}
    assert outline.get("input.columns") == [
        {"name": "country", "categories": ["se"], **category},
        {"name": "plan", "categories": ["pro", "basic"], **category},
    ]


def test_a_category_that_is_a_number_has_one_spelling_whatever_type_the_data_frame_had(tmp_path):
    lightgbm, pd = pytest.importorskip("lightgbm"), pytest.importorskip("pandas")
    draws = np.random.default_rng(0)
    categories: dict[str, list[Any]] = {"seats": [10.0, 20.0, 25.5], "member": [False, True], "floor": [1, 2, 3]}
    frame = pd.DataFrame(
        {name: pd.Categorical(draws.choice(np.array(own), 300), categories=own) for name, own in categories.items()}
    )
    target = (frame.seats == 20) + 2 * (frame.member == True) + (frame.floor == 3)  # noqa: E712 - of categories
    lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(frame, target).booster_.save_model(tmp_path / "model.txt")
    outline = Outline("model.txt", {})
    read_fitted(outline, open_trees(tmp_path / "model.txt"))
    known = {column["name"]: column["categories"] for column in outline.get("input.columns")}
    assert known == {"seats": ["10", "20", "25.5"], "member": ["0", "1"], "floor": ["1", "2", "3"]}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("form", ["estimator", "file"])
def test_categories_of_xgboost_are_read_from_its_file_and_answer_in_a_graph_as_they_do(form, tmp_path):
    xgboost, pd = pytest.importorskip("xgboost", minversion="3.1"), pytest.importorskip("pandas")
    draws, towns = np.random.default_rng(0), [f"town {number}" for number in range(12)]
    frame = pd.DataFrame({"amount": draws.normal(size=600)})
    frame["town"] = pd.Categorical(draws.choice(towns, 600), categories=towns)
    frame["seats"] = pd.Categorical(draws.choice([10, 20, 30], 600))
    frame.loc[::7, "town"] = None
    target = frame.amount + frame.town.cat.codes % 3 * 2 + (frame.seats == 20)
    model = xgboost.XGBRegressor(n_estimators=8, enable_categorical=True).fit(frame, target)
    model.save_model(tmp_path / "model.ubj")
    source = TreeSource(model) if form == "estimator" else open_trees(tmp_path / "model.ubj")
    outline = Outline("model.ubj", {})
    read_fitted(outline, source)
    assert outline.get("input.columns") == [
        "amount",
        {"name": "town", "type": "category", "categories": towns, "nullable": True},
        {"name": "seats", "type": "category", "categories": ["10", "20", "30"], "nullable": True},
    ]
    codes = [frame[name].cat.codes.replace(-1, np.nan) for name in ("town", "seats")]
    rows = {"features": np.column_stack([frame.amount, *codes]).astype(np.float32)}
    [(name, values)] = source.run(rows).items()
    np.testing.assert_allclose(values[:, 0], model.predict(frame), atol=1e-6)
    proto, _ = source.graph({"features": rows["features"][:3]}, {})
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run([name], rows)[0], values, atol=1e-5)


def test_categories_that_a_file_of_xgboost_lacks_are_asked_for(monkeypatch):
    xgboost, pd = pytest.importorskip("xgboost"), pytest.importorskip("pandas")
    frame = pd.DataFrame({"plan": pd.Categorical(["basic", "pro"] * 30), "amount": np.arange(60.0)})
    source = TreeSource(xgboost.XGBRegressor(n_estimators=2, enable_categorical=True).fit(frame, np.arange(60.0)))
    monkeypatch.delattr(xgboost.Booster, "get_categories", raising=False)  # as before version 3.1
    outline = Outline("model.ubj", {})
    read_fitted(outline, source)
    with pytest.raises(DefinitionError, match="plan are categories, and the model doesn't say which"):
        outline.check()
