"""torch's exporter: a module or an exported program as an ONNX graph whose nodes are named after inner modules."""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import logging
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import onnx
import torch

from onnxserve.errors import CheckFailed
from onnxserve_export.arrays import Arrays, Axes
from onnxserve_export.records import Range

from .module_outputs import ALONE, named_tensors
from .recurrent import translations
from .source import output_names

OPSET = 20
# What torch.export says of an axis that was to be free, of each such axis.
BAKED_IN = re.compile(r"inferred a static shape of (\d+) for dimension inputs\['(\w+)'\]\.shape\[(\d+)\]")
CHATTERERS = (
    "torch.export",
    "torch.fx",
    "torch.onnx",
    "torch.onnx._internal.exporter._registration",
    "onnx_ir",
    "onnxscript",
)


def export_graph(
    module: torch.nn.Module,
    matched: Mapping[str, str],
    arrays: Arrays,
    axes: Axes,
    outputs: Sequence[str],
    *,
    free_batch: bool = True,
) -> tuple[onnx.ModelProto, list[Range]]:
    """Trace with the dynamo exporter, without its output; CheckFailed if it can't export the module.

    `matched` has the name of `forward`'s parameter for each tensor of `arrays`, in `forward`'s order.
    """
    with flat_outputs(module, outputs):
        program = convert(
            module,
            matched,
            output_names(outputs, arrays),
            kwargs={own: torch.from_numpy(arrays[name]) for name, own in matched.items()},
            dynamic_shapes=dynamic_shapes(matched, axes, free_batch=free_batch),
        )
    proto = program.model_proto
    name_nodes(proto)
    return proto, ranges(program.exported_program, {own: name for name, own in matched.items()})


def convert(model: Any, matched: Mapping[str, str], outputs: Sequence[str], **options: Any) -> Any:
    """Return torch's ONNX program, without what the exporter prints; CheckFailed with the first cause."""
    silence()
    quiet = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            warnings.simplefilter("ignore")
            return torch.onnx.export(
                model,
                (),
                dynamo=True,
                opset_version=OPSET,
                verbose=False,
                input_names=list(matched),
                output_names=list(outputs),
                custom_translation_table={**translations(), torch.ops.aten.rsub.Scalar: reversed_subtraction},
                **options,
            )
    except torch.onnx.OnnxExporterError as error:
        raise not_exportable(error) from error


def silence() -> None:
    """Keep torch's loggers from writing warnings, and the traces of errors that it raises, to the terminal."""
    for name in CHATTERERS:
        logging.getLogger(name).setLevel(logging.ERROR)


def reversed_subtraction(subtrahend: Any, number: Any, alpha: Any = 1) -> Any:
    """Return the nodes of `number - alpha * subtrahend`; torch 2.13 can't export `1.0 - mask` where masks are integers.

    An integer tensor beside a float becomes torch's default float, as torch promotes them:
    https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc
    """
    from onnxscript import opset20 as op  # it is slow to import, and only an export needs it

    if isinstance(number, float) and subtrahend.dtype.is_integer():
        subtrahend = op.Cast(subtrahend, to=onnx.TensorProto.FLOAT)
    if alpha != 1:
        subtrahend = op.Mul(subtrahend, op.CastLike(alpha, subtrahend))
    return op.Sub(op.CastLike(number, subtrahend), subtrahend)


@contextlib.contextmanager
def flat_outputs(module: torch.nn.Module, names: Sequence[str]) -> Iterator[None]:
    """Let `forward` return the tensors `names` as a tuple meanwhile, since torch.export knows few other types.

    A wrapping module would change the paths of inner modules, after which nodes are named. The module gets a class of
    its own: torch's strict trace, which follows Python where the usual one can't, reads no function that holds one.
    """
    if list(names) == [ALONE]:
        yield
        return
    cls, own = type(module), vars(module).pop("forward", None)
    forward: Any = cls.forward if own is None else (lambda _, *arguments, **named: own(*arguments, **named))

    @functools.wraps(own or cls.forward)
    def flat(self: torch.nn.Module, *arguments: Any, **named: Any) -> tuple[torch.Tensor, ...]:
        return tuple(named_tensors(forward(self, *arguments, **named), names).values())

    module.__class__ = type(cls.__name__, (cls,), {"forward": flat})
    try:
        yield
    finally:
        module.__class__ = cls
        if own is not None:
            module.forward = own


def dynamic_shapes(matched: Mapping[str, str], axes: Axes, *, free_batch: bool) -> dict[str, dict[int, object]]:
    """Return the free axes by parameter: the batch unless rows run alone, others as the handler declares."""
    free = torch.export.Dim.DYNAMIC
    batch: dict[int, object] = {0: free} if free_batch else {}
    return {own: {**batch, **dict.fromkeys(axes.get(name, {}), free)} for name, own in matched.items()}


def ranges(program: Any, names: Mapping[str, str]) -> list[Range]:
    """Read the axes' ranges from the program's `range_constraints`; a size that was baked in is a range of one.

    `names` has the handler's tensor for each placeholder.
    """
    axis_ranges = []
    for node in program.graph.nodes:
        if node.op != "placeholder" or node.name not in names:
            continue
        for axis, size in enumerate(node.meta["val"].shape):
            name = names[node.name]
            if isinstance(size, int):
                axis_ranges.append(Range(name, axis, size, size))
                continue
            bounds = program.range_constraints.get(size.node.expr)
            upper = int(bounds.upper) if bounds is not None and bounds.upper.is_Integer else None
            axis_ranges.append(Range(name, axis, int(bounds.lower) if bounds is not None else 0, upper))
    return axis_ranges


def not_exportable(error: BaseException) -> CheckFailed:
    """Return an error with the first cause in torch's chain of errors, and its place in the module."""
    while error.__cause__ is not None:
        error = error.__cause__
    if baked_in := BAKED_IN.findall(str(error)):
        axes = " and ".join(f"axis {axis} of {name} holds for {size} only" for size, name, axis in baked_in)
        fix = "a loop over this axis, or a branch on x.shape, bakes its size in: compute over the whole axis at once"
        return CheckFailed("trace", f"in the module {axes}", "any size", fix=fix)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    place = next((line for line in reversed(lines) if "code:" in line or line.startswith("File ")), "")
    return CheckFailed(
        "trace",
        f"torch can't export the module: {lines[0] if lines else type(error).__name__}",
        "a graph",
        fix="no branches on values, no data-dependent shapes, only operators that the exporter knows: "
        "https://docs.pytorch.org/docs/stable/export.html",
        where=place,
    )


def name_nodes(proto: onnx.ModelProto) -> None:
    """Name each node `<torch module>/<operator>_<n>`, so that reports and excludes use the model's names."""
    seen: Counter[str] = Counter()
    for node in proto.graph.node:
        properties = {entry.key: entry.value for entry in node.metadata_props}
        try:
            scopes = [str(scope) for scope in ast.literal_eval(properties.get("pkg.torch.onnx.name_scopes", "[]"))]
        except (ValueError, SyntaxError):
            scopes = []
        path = next((scope for scope in reversed(scopes[:-1]) if scope), "graph")
        stem = f"{path}/{node.op_type}"
        node.name = f"{stem}_{seen[stem]}"
        seen[stem] += 1
