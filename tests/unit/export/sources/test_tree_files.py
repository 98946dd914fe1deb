"""Pickles are read only where they are trusted; skops needs no trust."""

import pickle

import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.sources import open_source


class Runs:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("suffix", ["pkl", "joblib", "pickle"])
def test_a_pickle_is_not_read_without_trust(tmp_path, suffix):
    (tmp_path / f"model.{suffix}").write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
    with pytest.raises(DefinitionError, match="is a pickle: reading it runs whatever code it names") as caught:
        open_source(f"model.{suffix}", tmp_path, {})
    assert "--trust" in caught.value.fix
    assert not (tmp_path / "ran").exists()


def test_a_damaged_pickle_is_refused_without_a_traceback(tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"no pickle")
    with pytest.raises(DefinitionError, match=r"model\.pkl can't be read"):
        open_source("model.pkl", tmp_path, {}, trust=True)


def test_a_library_that_is_missing_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "xgboost", None)
    (tmp_path / "model.ubj").write_bytes(b"")
    with pytest.raises(DefinitionError, match="xgboost is not installed") as caught:
        open_source("model.ubj", tmp_path, {})
    assert caught.value.fix == "pip install 'onnxserve[xgboost]'"


def test_types_that_skops_does_not_know_need_trust(tmp_path):
    ensemble, skops = pytest.importorskip("sklearn.ensemble"), pytest.importorskip("skops.io")
    forest = ensemble.RandomForestRegressor(n_estimators=2).fit([[0.0], [1.0]], [1.0, 3.0])
    skops.dump(forest, tmp_path / "model.skops")
    with pytest.raises(DefinitionError, match=r"types that skops doesn't know .*Tree") as caught:
        open_source("model.skops", tmp_path, {})
    assert caught.value.fix.startswith("--trust")
    assert "RandomForestRegressor" in open_source("model.skops", tmp_path, {}, trust=True).summary


def test_a_trusted_pickle_and_a_skops_file_give_the_same_model(tmp_path):
    linear = pytest.importorskip("sklearn.linear_model")
    model = linear.LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    assert open_source("model.pkl", tmp_path, {}, trust=True).summary == "scikit-learn LinearRegression"
    skops = pytest.importorskip("skops.io")
    skops.dump(model, tmp_path / "model.skops")
    assert open_source("model.skops", tmp_path, {}).summary == "scikit-learn LinearRegression"


@pytest.mark.parametrize("suffix", ["pkl", "pickle", "joblib"])
def test_what_joblib_or_pickle_wrote_is_read_under_any_of_their_names(tmp_path, suffix):
    ensemble, joblib = pytest.importorskip("sklearn.ensemble"), pytest.importorskip("joblib")
    model = ensemble.GradientBoostingRegressor(n_estimators=2).fit([[0.0], [1.0]], [1.0, 3.0])
    for write in (lambda path: joblib.dump(model, path), lambda path: path.write_bytes(pickle.dumps(model))):
        write(tmp_path / f"model.{suffix}")
        source = open_source(f"model.{suffix}", tmp_path, {}, trust=True)
        assert source.summary == "scikit-learn GradientBoostingRegressor"


def test_a_pickle_with_something_around_the_model_says_what_it_holds(tmp_path):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"model": 1}))
    with pytest.raises(DefinitionError, match="dict isn't a fitted model of scikit-learn, XGBoost or LightGBM"):
        open_source("model.pkl", tmp_path, {}, trust=True)


def test_a_module_of_the_pickles_own_is_not_taken_for_a_library(tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"cno_such_module_of_mine\nModel\n.")
    with pytest.raises(DefinitionError, match="No module named 'no_such_module_of_mine'") as caught:
        open_source("model.pkl", tmp_path, {}, trust=True)
    assert "the module of its own classes" in caught.value.fix


def test_a_damaged_skops_file_is_refused_without_a_traceback(tmp_path):
    pytest.importorskip("skops.io")
    (tmp_path / "model.skops").write_bytes(b"no zip")
    with pytest.raises(DefinitionError, match=r"model\.skops can't be read"):
        open_source("model.skops", tmp_path, {})
