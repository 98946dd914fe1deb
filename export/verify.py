"""Step verify: the traced graph against torch at every batch size and length; a declared free axis is no proof."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxserve.errors import CheckFailed

from .reference import TOLERANCE, deviation, run_torch
from .run import GraphCrashed, run_graph
from .step import Step
from .work import Arrays, Work


@dataclass(frozen=True)
class Parity:
    """Largest deviation of the fp32 graph from torch for one group, relative to the largest output."""

    group: str
    shape: tuple[int, ...]
    deviation: float


def stretched(arrays: Arrays, axes: dict[str, dict[int, str]], length: int) -> Arrays:
    """The same rows, repeated along their free axes until these have exactly `length`."""
    made = dict(arrays)
    for name, free in axes.items():
        for axis in free:
            times = -(-length // made[name].shape[axis])
            repeated = np.concatenate([made[name]] * times, axis=axis)
            made[name] = np.take(repeated, np.arange(length), axis=axis)
    return made


def all_shapes(work: Work) -> dict[str, Arrays]:
    """Every batch size with real rows; where lengths are free, also the longest that the signature allows."""
    shapes = dict(work.groups.shapes)
    if work.axes:
        longest = work.definition.input.max_tokens
        for name, group in work.groups.shapes.items():
            if name.endswith("long rows"):
                shapes[f"{name}, stretched"] = stretched(group, work.axes, longest)
    return shapes


def call(work: Work) -> None:
    """Compare each shape group; the first beyond the tolerance fails the export."""
    work.parity = []
    for name, group in all_shapes(work).items():
        shape = next(iter(group.values())).shape
        expected = run_torch(work.module, group)
        try:
            [actual] = run_graph(work.fp32, [group])
        except GraphCrashed as error:
            raise CheckFailed(
                "verify",
                f"the graph fails on {name} {shape}: {error}",
                "an answer",
                fix="the exporter baked a shape in: write the module without branches on x.shape, "
                "and avoid nn.TransformerEncoder's fast path",
            ) from error
        worst = deviation(actual, expected)
        if not worst <= TOLERANCE:
            raise CheckFailed(
                "verify",
                f"fp32 deviates by {worst:.3g} from torch on {name} {shape}",
                f"{TOLERANCE:g}",
                fix="the graph computes something else at this shape: look for branches on x.shape and random ops",
            )
        work.parity.append(Parity(name, shape, worst))
    work.say(f"      {len(work.parity)} shapes, worst {max(p.deviation for p in work.parity):.2g}")


STEP = Step("verify", ("module", "groups", "axes", "fp32"), ("parity",), call)
