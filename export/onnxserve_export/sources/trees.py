"""A fitted model of scikit-learn, XGBoost or LightGBM: its own answers are the reference."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from onnxserve.errors import CheckFailed
from onnxserve_export.arrays import Array, Arrays, Axes
from onnxserve_export.records import Range

from .fitted_tables import missing, table_of
from .functions import check_functions
from .graph_edit import feed, keep_outputs, rename
from .model_parts import steps_of
from .predictor import is_classifier, library_of, predictor
from .refused_steps import check_steps
from .source import InputSpec, SourceModel
from .tree_graphs import convert
from .vectorisers import check_vectorisers

# A model that was fitted to a data frame gets its columns in the order of the fit; scikit-learn warns at each call that
# they have no names.
warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)

SCORES, VALUES = "scores", "values"
FLAT = ("SGDOneClassSVM",)  # the converter's graph gives one value a row in the shape (rows,)


class TreeSource(SourceModel):
    """Takes one tensor, shape (rows, columns), or one for each column.

    It gives `scores` (rows, classes) or `values` (rows, targets); a column of that name adds `_out` to it.
    """

    inputs: tuple[InputSpec, ...] = ()
    free_axis_fix = "the model has a fixed number of columns: give it the rows that it was fitted to"

    def __init__(self, model: Any) -> None:
        # A search of parameters answers as its best model.
        self.model = model = getattr(model, "best_estimator_", model)
        self.name = library_of(model)
        check_functions(model)
        check_vectorisers(model)
        self.summary = f"{self.name} {type(model).__name__}"
        self._predict = predictor(model, self.name)
        self._converted: dict[tuple[tuple[str, str, int], ...], onnx.ModelProto] = {}
        try:
            check_steps(self.model)
        except ModuleNotFoundError as error:
            raise missing(error) from error

    def answer(self, arrays: Arrays) -> Arrays:
        """Return `scores` or `values` for one batch."""
        output = np.asarray(self._predict(table_of(self.model, arrays)))
        has_scores = is_classifier(self.model, self.name)
        name = free_name(SCORES if has_scores else VALUES, arrays)
        if has_scores and output.ndim == 1:  # the probability of the second of two classes
            output = np.stack([1 - output, output], axis=1)
        return {name: output.reshape(len(output), -1)} if output.ndim < 3 else {name: output}

    def runner(self, threads: int) -> Callable[[Arrays], Any]:  # noqa: ARG002 - these libraries choose for themselves
        """Return a function that predicts as the library does."""
        return lambda arrays: self._predict(table_of(self.model, arrays))

    def converted(self, tensors: Arrays) -> onnx.ModelProto:
        """Return the converter's own graph, made once for tensors of the same types; whatever a converter raises."""
        key = tuple((name, kind_of(array), array.shape[1]) for name, array in tensors.items())
        if key not in self._converted:
            self._converted[key] = convert(self.model, self.name, tensors)
        return self._converted[key]

    def graph(self, example: Arrays, axes: Axes) -> tuple[onnx.ModelProto, list[Range]]:  # noqa: ARG002 - a hook
        """Convert the model; a tensor of a type that its trees don't compare in is cast in the graph."""
        [name] = self.run(example)
        try:
            proto = onnx.ModelProto()
            proto.CopyFrom(self.converted(example))
        except ModuleNotFoundError as error:
            raise missing(error) from error
        except Exception as error:
            raise CheckFailed(
                "trace",
                f"{type(self.model).__name__} can't be converted: {(str(error).splitlines() or ['no message'])[0]}",
                "a graph",
                fix="see the models that skl2onnx and onnxmltools know: https://onnx.ai/sklearn-onnx/supported.html",
            ) from error
        last = proto.graph.output[-1].name  # scores stand behind the label
        keep_outputs(proto.graph, [last])
        if last != name:
            rename(proto.graph, name, f"{name}_inner")
        rename(proto.graph, last, name)
        if type(steps_of(self.model)[-1]).__name__ in FLAT:
            make_column(proto.graph, name)
        inputs = [value.name for value in proto.graph.input]
        dtypes = ((name, array.dtype) for name, array in example.items())
        feed(proto.graph, dict(zip(inputs, dtypes, strict=True)))
        return proto, [
            axis_range
            for tensor, array in example.items()
            for axis_range in (Range(tensor, 0, 0, None), Range(tensor, 1, array.shape[1], array.shape[1]))
        ]


def free_name(name: str, arrays: Arrays) -> str:
    """Return a name of an output that no column has."""
    while name in arrays:
        name += "_out"
    return name


def kind_of(array: Array) -> str:
    """Return the type of a tensor, whatever the length of its texts."""
    return "text" if array.dtype.kind == "U" else array.dtype.name


def make_column(graph: onnx.GraphProto, name: str) -> None:
    """Give an output of one value a row the shape (rows, 1)."""
    flat, shape = f"{name}_of_rows", f"{name}_shape"
    for node in graph.node:
        node.output[:] = [flat if output == name else output for output in node.output]
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1, 1]), shape))
    graph.node.append(onnx.helper.make_node("Reshape", [flat, shape], [name]))
