"""Functions of numpy as steps of a pipeline: graphs compute them, and other functions are refused by name."""

import numpy as np
import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.run import run_graph
from onnxserve_export.sources.functions import FUNCTIONS
from onnxserve_export.sources.trees import TreeSource

pytest.importorskip("skl2onnx")
pipeline, preprocessing, linear, compose = (
    pytest.importorskip(f"sklearn.{name}") for name in ("pipeline", "preprocessing", "linear_model", "compose")
)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
TABLE = np.random.default_rng(0).lognormal(size=(200, 2))


def cube(table):
    return table**3


def answers_of(model, tensors, tmp_path):
    (tmp_path / "graph.onnx").write_bytes(model.graph(tensors, {})[0].SerializeToString())
    [outputs] = run_graph(tmp_path / "graph.onnx", [tensors])
    return outputs["values"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_numpy_is_part_of_the_graph(name, tmp_path):
    step = preprocessing.FunctionTransformer(getattr(np, name))
    target = np.nan_to_num(getattr(np, name)(TABLE)).sum(axis=1)
    model = TreeSource(pipeline.make_pipeline(step, linear.LinearRegression()).fit(TABLE, target))
    tensors = {"features": TABLE.astype(np.float32)}
    expected = model.run(tensors)["values"]
    np.testing.assert_allclose(expected[:, 0], target, rtol=1e-4)
    np.testing.assert_allclose(answers_of(model, tensors, tmp_path), expected, rtol=1e-4)


def test_a_function_of_several_columns_of_a_frame_is_part_of_the_graph(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(TABLE, columns=["income", "size"]).assign(age=3.0)
    branches = [("log", preprocessing.FunctionTransformer(np.log1p), ["size", "income"])]
    encoder = compose.ColumnTransformer(branches, remainder="passthrough")
    target = np.log1p(TABLE[:, 0]) - np.log1p(TABLE[:, 1])
    model = TreeSource(pipeline.make_pipeline(encoder, linear.LinearRegression()).fit(frame, target))
    tensors = {name: frame[[name]].to_numpy(np.float32) for name in frame}
    np.testing.assert_allclose(answers_of(model, tensors, tmp_path)[:, 0], target, atol=1e-4)


@pytest.mark.parametrize("options", [{"func": cube}, {"func": np.log1p, "kw_args": {"where": True}}, {"func": np.add}])
def test_any_other_function_is_refused_by_name(options):
    step = preprocessing.FunctionTransformer(**options)
    with pytest.raises(DefinitionError, match=f"calls {options['func'].__name__}, which is code") as refusal:
        TreeSource(step)
    assert "log1p" in refusal.value.fix
