"""Step verify: the traced graph against torch at every batch size and length; a declared free axis is no proof."""

from __future__ import annotations

from dataclasses import dataclass

from onnxserve.errors import CheckFailed

from .reference import TOLERANCE, deviation, run_torch
from .run import GraphCrashed, run_graph
from .step import Step
from .work import Work


@dataclass(frozen=True)
class Parity:
    """Largest deviation of the fp32 graph from torch for one group, relative to the largest output."""

    group: str
    shape: tuple[int, ...]
    deviation: float


def call(work: Work) -> None:
    """Compare each shape group; the first beyond the tolerance fails the export."""
    names = list(work.groups.shapes)
    groups = list(work.groups.shapes.values())
    work.parity = []
    for name, group in zip(names, groups, strict=True):
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
    work.say(f"      {len(names)} shapes, worst {max(p.deviation for p in work.parity):.2g}")


STEP = Step("verify", ("module", "groups", "fp32"), ("parity",), call)
