"""A ready ONNX graph of any opset: its own answers under ONNX Runtime are the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from onnxserve.errors import DefinitionError
from onnxserve.scratch import Scratch
from onnxserve_export.arrays import Arrays, Axes
from onnxserve_export.graph_file import is_large, save_graph
from onnxserve_export.graph_process import session
from onnxserve_export.records import Range
from onnxserve_export.run import widen_half_floats

from .graph_edit import (
    drop_batch_axis,
    drop_zip_maps,
    feed,
    fixed_batch,
    free_batch,
    keep_outputs,
    lift_constants,
    rename,
    without_initialisers,
)
from .source import InputSpec, SourceModel, match_inputs, output_names

PER_CHANNEL = 13  # the first opset that quantises per channel
UPGRADED = 17
SEPARATE = 4  # the first IR version whose initialisers needn't be inputs too
RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial")
HALF_FIX = "the graph has numbers of bfloat16, which ONNX Runtime hardly computes: export the module's .float() instead"
DYNAMIC = ("DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM")


def open_onnx(path: Path, outputs: Sequence[str] = ()) -> OnnxSource:
    """Return the graph of a file, with weights in files beside it; DefinitionError if it can't be read."""
    try:
        proto = onnx.load(path)
    except Exception as error:
        raise DefinitionError(
            f"{path.name} can't be read as ONNX: {error}",
            where=str(path),
            fix="give the whole file, with the files of weights that it names beside it",
        ) from error
    try:
        return OnnxSource(proto, path.name, outputs)
    except DefinitionError as error:
        raise DefinitionError(error.what, where=error.where or str(path), fix=error.fix) from error


class OnnxSource(SourceModel):
    """A graph as its maker wrote it, apart from outputs that no tensor holds; `outputs` choose among the others."""

    name = "onnxruntime"
    free_axis_fix = (
        "the graph was exported with a fixed size there: export it again with a free axis (dynamic_axes or "
        "dynamic_shapes of torch.onnx.export)"
    )

    def __init__(self, proto: onnx.ModelProto, label: str, outputs: Sequence[str] = ()) -> None:
        self.proto = proto
        drop_zip_maps(proto.graph)
        keep_outputs(proto.graph, outputs)
        self.stated_rows = fixed_batch(proto.graph)
        free_batch(proto.graph)
        self.outputs = [output.name for output in proto.graph.output]
        self.scales_by_batch = any(node.op_type in DYNAMIC for node in proto.graph.node)
        self.inputs = tuple(_spec(value) for value in without_initialisers(proto.graph))
        if not self.inputs:
            fix = "export the model again with its inputs, as torch.onnx.export(module, (example,), …) has them"
            raise DefinitionError("the graph has no inputs, so it gives every row the same answer", fix=fix)
        self.random_nodes = tuple(
            f"{node.name} {node.op_type}".strip() for node in proto.graph.node if node.op_type in RANDOM
        )
        opset = next((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), 0)
        self.summary = f"{label}, opset {opset}, {len(proto.graph.node)} nodes"
        self._scratch: Scratch | None = None
        self._session = self._open(1)

    def _content(self) -> str | bytes:
        """Return what a session opens: the graph's bytes, or a file for one that is larger than a message may be."""
        if not is_large(self.proto):
            return bytes(self.proto.SerializeToString())
        if self._scratch is None:
            self._scratch = Scratch()
            copy = onnx.ModelProto()
            copy.CopyFrom(self.proto)  # what is saved loses its weights
            save_graph(copy, self._scratch.path / "graph.onnx")
        return str(self._scratch.path / "graph.onnx")

    def _open(self, threads: int) -> ort.InferenceSession:
        try:
            return session(self._content(), threads)
        except Exception as error:
            raise DefinitionError(
                f"ONNX Runtime {ort.__version__} can't load the graph: {_first_line(error)}",
                fix=HALF_FIX
                if _has_bfloat16(self.proto.graph)
                else "check the file with onnx.checker; operators of other domains aren't served",
            ) from error

    def answer(self, arrays: Arrays) -> Arrays:
        """Return every output for one batch by name."""
        try:
            results = self._session.run(self.outputs, self._feeds(arrays))
        except Exception as error:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            raise DefinitionError(
                f"ONNX Runtime can't run the graph on {shapes}: {_first_line(error)}",
                fix="the graph wants other sizes or a fixed batch: export it again with a free batch, or let rows run "
                "alone with [serve] batch_size = 1",
            ) from error
        return widen_half_floats(dict(zip(output_names(self.outputs, arrays), results, strict=True)))

    def _feeds(self, arrays: Arrays) -> Arrays:
        dtypes, own_arrays = {spec.name: spec.dtype for spec in self.inputs}, self._own_ranks(arrays)
        matched = match_inputs(self, own_arrays)
        return {own: own_arrays[name].astype(dtypes[own], copy=False) for name, own in matched.items()}

    def _own_ranks(self, arrays: Arrays) -> Arrays:
        """Return one row's arrays without the batch for inputs that have no axis for it, as many detectors' pictures.

        Those of several rows stay as they are.
        """
        ranks = {spec.name: len(spec.shape) for spec in self.inputs if spec.shape is not None}
        only = next(iter(ranks.values())) if len(ranks) == len(arrays) == 1 else -1
        return {
            name: np.asarray(array[0]) if len(array) == 1 and array.ndim == ranks.get(name, only) + 1 else array
            for name, array in arrays.items()
        }

    def runner(self, threads: int) -> Callable[[Arrays], Any]:
        """Return a function that runs the graph in a session of its own."""
        timed = self._open(threads)
        return lambda arrays: timed.run(self.outputs, self._feeds(arrays))

    def graph(self, example: Arrays, axes: Axes) -> tuple[onnx.ModelProto, list[Range]]:  # noqa: ARG002 - a hook
        """Return the graph with the handler's inputs, in a newer opset where quantisers need one."""
        matched = match_inputs(self, own_example := self._own_ranks(example))
        proto = upgrade(self.proto)
        lift_constants(proto.graph)
        ranges = _ranges(proto, {own: name for name, own in matched.items()})
        for own, name in zip(self.outputs, output_names(self.outputs, example), strict=True):
            rename(proto.graph, own, name)
        feed(proto.graph, {own: (name, example[name].dtype) for name, own in matched.items()})
        drop_batch_axis(proto.graph, {name for name in example if own_example[name].ndim < example[name].ndim})
        return proto, ranges


def _has_bfloat16(graph: onnx.GraphProto) -> bool:
    values = [*graph.input, *graph.output, *graph.value_info]
    types = {value.type.tensor_type.elem_type for value in values} | {tensor.data_type for tensor in graph.initializer}
    return onnx.TensorProto.BFLOAT16 in types


def _spec(value: onnx.ValueInfoProto) -> InputSpec:
    kind = value.type.tensor_type
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)).name
    if not kind.HasField("shape"):
        return InputSpec(value.name, dtype=dtype)
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in kind.shape.dim)
    return InputSpec(value.name, dtype=dtype, shape=shape)


def upgrade(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy whose weights are no inputs, in opset 17 where its own is too old to quantise per channel.

    Where onnx can't convert it, the copy keeps its opset, and variants that need a newer one are refused.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    copy.ir_version = max(copy.ir_version, SEPARATE)
    opsets = {entry.domain: entry.version for entry in copy.opset_import}
    if opsets.get("", opsets.get("ai.onnx", UPGRADED)) >= PER_CHANNEL:
        return copy
    try:
        return onnx.version_converter.convert_version(copy, UPGRADED)
    except Exception:  # noqa: BLE001 - the converter fails in many ways, and the old graph runs
        return copy


def _ranges(proto: onnx.ModelProto, names: dict[str, str]) -> list[Range]:
    """Return the sizes that the graph states for the axes of its inputs; those without a size are free."""
    return [
        Range(names[value.name], axis, dim.dim_value, dim.dim_value)
        if dim.HasField("dim_value")
        else Range(names[value.name], axis, 0, None)
        for value in without_initialisers(proto.graph)
        if value.name in names
        for axis, dim in enumerate(value.type.tensor_type.shape.dim)
    ]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
