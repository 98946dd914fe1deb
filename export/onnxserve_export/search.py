"""Step search: make the variant `mixed`, with as many nodes in 8 bits as the budget allows on the select rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx

from onnxserve.archive import file_digest
from onnxserve_handlers.outputs import Outputs

from .environment import cpu_flags
from .export_state import ExportState
from .graph_outputs import outputs_for
from .int8 import quantisable, quantise_nodes, types_for
from .measure import select_acceptance, sized
from .outputs import all_finite
from .quantise import SEARCHED, preprocess_graph, write_graph
from .records import Candidate, Sensitivity
from .run import GraphCrashed
from .sensitivity import FILE, explore
from .step import Step

METHOD = "minmax"
LIKELY = 2 / 3  # chance that the certify rows accept what the search makes
BROKEN = 1e9  # the damage of a node that can't be quantised at all


class Search:
    """Quantises chosen nodes and asks whether the budget allows the result."""

    def __init__(self, state: ExportState) -> None:
        self.state = state
        self.source = preprocess_graph(state)
        self.types = types_for(cpu_flags(), state.definition.serve.provider)
        self.nodes, _ = quantisable(onnx.load(self.source), state.definition.quantise.exclude)
        self.acceptance = select_acceptance(state)
        self.certify_rows = state.split.units("certify")

    def graph(self, nodes: list[str], target: Path) -> Path:
        """Write the graph with these nodes in 8 bits to `target`."""
        quantise_nodes(self.state, self.source, target, nodes, METHOD, self.types)
        write_graph(target, onnx.load(target))
        return target

    def outputs(self, nodes: list[str]) -> Outputs | None:
        """Return the outputs for the select rows with these nodes in 8 bits; None if the graph can't be made or run."""
        target = self.state.scratch / "trial.onnx"
        try:
            graph, state = self.graph(nodes, target), self.state
            select = state.groups.select
            return sized(state, outputs_for(graph, select, state.row_axes, state.scratch), select)
        except (GraphCrashed, ValueError, RuntimeError):
            return None
        finally:
            target.unlink(missing_ok=True)

    def damage(self, node: str) -> float:
        """Return the damage of one node alone in 8 bits."""
        outputs = self.outputs([node])
        return BROKEN if outputs is None else min(BROKEN, self.acceptance.damage(outputs))

    def holds(self, nodes: list[str]) -> bool:
        """Whether the certify rows would most likely accept these nodes, if they are like the select rows."""
        outputs = self.outputs(nodes)
        if outputs is None or not all_finite(outputs):
            return False
        return self.acceptance.likely_bound(outputs, self.certify_rows, LIKELY) <= self.acceptance.budget


def longest_prefix(ranking: list[str], holds: Callable[[list[str]], bool]) -> list[str]:
    """Return the longest run of the least damaging nodes that holds, by bisection: more nodes do more damage."""
    low, high = 0, len(ranking)
    while low < high:
        middle = (low + high + 1) // 2
        if holds(ranking[:middle]):
            low = middle
        else:
            high = middle - 1
    return ranking[:low]


def call(state: ExportState) -> None:
    """Rank the nodes, put the least damaging into 8 bits first, and make the candidate."""
    state.sensitivity = None
    if SEARCHED not in state.plan.variants:
        return
    search = Search(state)
    if not search.nodes:
        state.refused[SEARCHED] = "could not be made: no node that it could quantise"
        return
    path = state.definition.folder / FILE
    graph, minutes = file_digest(state.fp32), state.definition.quantise.search_minutes
    state.sensitivity = sensitivity = explore(path, graph, search.nodes, search.damage, minutes, state.progress)
    chosen = longest_prefix([name for name in sensitivity.ranking if sensitivity.damage[name] < BROKEN], search.holds)
    state.say("      " + describe(sensitivity, graph, search, chosen))
    if not chosen:
        state.refused[SEARCHED] = "no node may be in 8 bits within the budget"
        return
    left = tuple(sorted(set(search.nodes) - set(chosen)))
    note = f"{len(chosen)} of {len(search.nodes)} nodes in 8 bits: {search.types.note}, per channel, {METHOD} ranges"
    target = search.graph(chosen, state.scratch / f"{SEARCHED}.onnx")
    state.candidates.append(Candidate(SEARCHED, target, left, note))


def describe(sensitivity: Sensitivity, graph: str, search: Search, chosen: list[str]) -> str:
    """Describe the search in one line for the terminal."""
    parts = [f"{len(chosen)} of {len(search.nodes)} nodes in 8 bits"]
    if len(sensitivity.damage) < len(search.nodes):
        parts.append(f"{len(search.nodes) - len(sensitivity.damage)} not measured in time: run again to go on")
    if sensitivity.graph != graph:
        parts.append(f"ranked on earlier weights ({FILE}; remove it to rank anew)")
    return "; ".join(parts)


STEP = Step(
    "search", ("candidates", "refused", "groups", "fp32", "select_reference"), ("candidates", "sensitivity"), call
)
