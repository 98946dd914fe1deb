"""Step lint: traps in the exported graph that a run on sample rows may not show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import onnx

from onnxserve.errors import CheckFailed

from .export_state import ExportState
from .records import Finding
from .step import Step

RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
DATA_DEPENDENT = {"NonZero", "Compress", "Unique", "NonMaxSuppression", "If", "Loop", "Scan"}


def collisions(graph: onnx.GraphProto) -> Iterator[Finding]:
    """Yield a finding for each name that stands for two things."""
    counts = Counter(name for node in graph.node for name in node.output if name)
    counts.update(value.name for value in graph.input)
    counts.update(tensor.name for tensor in graph.initializer)
    for name, count in counts.items():
        if count > 1:
            yield Finding("name collision", name, f"{count} things have this name")
    operators = {node.op_type for node in graph.node}
    for value in (*graph.input, *graph.output):
        if value.name in operators:
            yield Finding("name collision", value.name, "named like an operator, which some runtimes can't load")
    for name, count in Counter(node.name for node in graph.node).items():
        if count > 1:
            yield Finding("name collision", name or "(no name)", f"{count} nodes have this name")


def findings(proto: onnx.ModelProto) -> list[Finding]:
    """Return all traps of one graph."""
    graph = proto.graph
    traps = list(collisions(graph))
    for node in graph.node:
        training = node.op_type == "Dropout" and len(node.input) > 2 and node.input[2] != ""
        if node.op_type in RANDOM or training:
            traps.append(Finding("random operator", node.name, f"{node.op_type} answers differently each time"))
        if node.op_type in DATA_DEPENDENT:
            why = f"{node.op_type}: shapes or work depend on values, so rows may cost or influence each other"
            traps.append(Finding("data-dependent shape", node.name, why, fatal=False))
    names = {value.name for value in graph.input}
    used = {name for node in graph.node for name in node.input}
    traps += [Finding("unused input", name, "the graph doesn't read it", fatal=False) for name in sorted(names - used)]
    return traps


def call(state: ExportState) -> None:
    """Lint the traced graph; the first fatal finding ends the export."""
    state.findings = findings(onnx.load(state.fp32, load_external_data=False))
    for finding in state.findings:
        if finding.fatal:
            raise CheckFailed(
                "lint",
                f"{finding.kind}: {finding.why}",
                "none",
                fix="change the module so that the exporter needn't make it",
                where=finding.where,
            )
        state.say(f"      {finding.kind} at {finding.where}: {finding.why}")


STEP = Step("lint", ("fp32",), ("findings",), call)
