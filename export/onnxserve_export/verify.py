"""Step verify: compare the fp32 graph with its source at every batch size and length; declared axes prove nothing."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path

import numpy as np

from onnxserve.errors import CheckFailed

from .arrays import Arrays, Axes
from .deviation import TOLERANCE
from .export_state import ExportState
from .outputs import deviations
from .preprocess import first_batches
from .records import Parity
from .run import GraphCrashed, run_graph
from .step import Step


def stretch(arrays: Arrays, axes: Axes, limits: Mapping[str, int]) -> Arrays:
    """Return the same rows, repeated along their free axes to exactly the largest sizes."""
    stretched = dict(arrays)
    for name, free in axes.items():
        for axis, axis_name in free.items():
            length = limits[axis_name]
            times = -(-length // stretched[name].shape[axis])
            repeated = np.concatenate([stretched[name]] * times, axis=axis)
            stretched[name] = np.take(repeated, np.arange(length), axis=axis)
    return stretched


def all_shapes(state: ExportState) -> dict[str, Arrays]:
    """Return batches of every size with real rows; where lengths are free, also of the longest that is allowed."""
    shapes = first_batches(state.groups.shapes)
    if state.axes:
        long = {name: group for name, group in shapes.items() if name.endswith("long rows")}
        shapes |= {f"{name}, stretched": stretch(group, state.axes, state.limits) for name, group in long.items()}
    return shapes


def graph_outputs(graph: Path, shapes: dict[str, Arrays], provider: str) -> list[Arrays]:
    """Run all shapes in one process; if that crashes, run them one by one to find the shape at fault."""
    try:
        return run_graph(graph, shapes.values(), provider)
    except GraphCrashed:
        return [_run_alone(graph, name, batch, provider) for name, batch in shapes.items()]


def _run_alone(graph: Path, name: str, batch: Arrays, provider: str) -> Arrays:
    try:
        return run_graph(graph, [batch], provider)[0]
    except GraphCrashed as error:
        raise CheckFailed(
            "verify",
            f"the graph fails on {name} {_shape(batch)}: {error}",
            "an answer",
            fix="a shape is baked in: write the module without branches on x.shape, "
            "and avoid nn.TransformerEncoder's fast path",
        ) from error


def _shape(batch: Arrays) -> tuple[int, ...]:
    return next(iter(batch.values())).shape


def call(state: ExportState) -> None:
    """Compare each shape group; the first output beyond the tolerance fails the export."""
    shapes, state.parity, model = all_shapes(state), [], state.model
    for (name, batch), actual in zip(shapes.items(), graph_outputs(state.fp32, shapes, state.provider), strict=True):
        by_output = deviations(actual, model.run(batch), state.scales)
        output, worst = max(by_output.items(), key=itemgetter(1))
        if not worst <= TOLERANCE:
            which = f" in output {output}" if len(by_output) > 1 else ""
            raise CheckFailed(
                "verify",
                f"fp32 deviates by {worst:.3g} of the outputs' spread from {model.name}{which} on {name} "
                f"{_shape(batch)}",
                f"{TOLERANCE:g}",
                fix="the graph computes something else at this shape: look for branches on x.shape and random ops",
                where=model.first_divergence(state.fp32, batch),
            )
        state.parity.append(Parity(name, _shape(batch), worst))
    state.say(f"      {len(state.parity)} shapes, worst {max(p.deviation for p in state.parity):.2g}")


STEP = Step("verify", ("model", "groups", "axes", "limits", "fp32", "scales"), ("parity",), call)
