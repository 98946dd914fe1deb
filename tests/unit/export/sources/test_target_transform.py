"""Regressors of a transformed target: the graph turns the values back as scikit-learn does."""

import numpy as np
import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.importing.fitted_columns import typed_columns
from onnxserve_export.sources.trees import TreeSource

from .test_refused_steps import TABLE, VALUES, check_graph, estimator

pytest.importorskip("skl2onnx")
compose, linear = pytest.importorskip("sklearn.compose"), pytest.importorskip("sklearn.linear_model")
make_pipeline = pytest.importorskip("sklearn.pipeline").make_pipeline


def of_target(regressor=None, **options):
    return compose.TransformedTargetRegressor(regressor or linear.Ridge(), check_inverse=False, **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"func": np.log1p, "inverse_func": np.expm1},
        {"func": np.sqrt, "inverse_func": np.square},
        {"transformer": estimator("preprocessing", "StandardScaler")},
        {"transformer": estimator("preprocessing", "StandardScaler", with_mean=False)},
        {"transformer": estimator("preprocessing", "MinMaxScaler", feature_range=(-2, 5))},
    ],
)
def test_values_are_turned_back_within_the_graph(options):
    check_graph(of_target(**options).fit(TABLE, VALUES))


def test_several_targets_are_each_turned_back_by_their_own_scale():
    targets = np.stack([VALUES, VALUES**2], axis=1)
    check_graph(of_target(transformer=estimator("preprocessing", "StandardScaler")).fit(TABLE, targets))


def test_a_target_may_be_transformed_around_a_pipeline_or_at_its_end():
    scaler, logs = estimator("preprocessing", "StandardScaler"), {"func": np.log1p, "inverse_func": np.expm1}
    check_graph(of_target(make_pipeline(scaler, linear.Ridge()), **logs).fit(TABLE, VALUES))
    check_graph(make_pipeline(scaler, of_target(**logs)).fit(TABLE, VALUES))


def test_columns_are_those_of_the_regressor_within():
    model = of_target(make_pipeline(estimator("impute", "SimpleImputer"), linear.Ridge())).fit(TABLE, VALUES)
    assert typed_columns(model) == [{"name": f"x{place}", "nullable": True} for place in range(4)]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"func": np.log1p, "inverse_func": lambda values: np.exp(values) - 1}, "<lambda>"),
        ({"transformer": estimator("preprocessing", "QuantileTransformer", n_quantiles=20)}, "QuantileTransformer"),
    ],
)
def test_a_target_that_no_graph_turns_back_is_refused_by_name(options, name):
    with pytest.raises(DefinitionError, match=f"turns values back by {name}") as refusal:
        TreeSource(of_target(**options).fit(TABLE, VALUES))
    assert "np.log1p and np.expm1" in refusal.value.fix
