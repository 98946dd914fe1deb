"""Step search: where the whole graph in 8 bits misses the budget, find the nodes that keep it: the variant `mixed`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import onnx

from onnxserve.archive import file_digest
from onnxserve_handlers.outputs import Outputs

from .environment import cpu_flags
from .export_state import ExportState
from .fitting import quantise_fitted
from .graph_outputs import outputs_for
from .int8 import quantisable, quantise_nodes, types_for
from .measure import LIKELY, select_acceptance, sized
from .node_times import node_times
from .outputs import all_finite
from .quantise import count_nodes, preprocess_graph, write_graph
from .records import Candidate, Sensitivity
from .run import GraphCrashed
from .sensitivity import FILE, explore
from .step import Step
from .variants import INT8, SEARCHED

LIKELIER = 2 / 3  # chance that the certify rows accept what the search makes
BROKEN = 1e9  # the damage of a node that can't be quantised at all
TIMED = 4  # batches that tell how long each node takes
SHORTEST_MS = 1e-3  # of a node, since the profiler counts microseconds


class Search:
    """Quantises chosen nodes and asks whether the budget allows the result."""

    def __init__(self, state: ExportState) -> None:
        self.state = state
        self.source = preprocess_graph(state)
        self.types = types_for(cpu_flags(), state.definition.serve.provider)
        self.nodes, _ = quantisable(onnx.load(self.source, load_external_data=False), state.definition.quantise.exclude)
        self.acceptance = select_acceptance(state)
        self.certify_rows = state.split.units("certify")
        self.graph, self.note = state.scratch / f"{SEARCHED}.onnx", ""

    def make_graph(self, nodes: list[str]) -> None:
        """Write the graph with these nodes in 8 bits; `note` says how it was made."""
        self.note = quantise_fitted(self.state, self.source, self.graph, nodes, self.types)
        write_graph(self.graph, onnx.load(self.graph))

    def outputs(self, graph: Path) -> Outputs:
        """Return a graph's outputs for the select rows."""
        state, select = self.state, self.state.groups.select
        return sized(state, outputs_for(graph, select, state.row_axes, state.scratch), select)

    def damage(self, node: str) -> float:
        """Return the damage of one node alone in 8 bits."""
        target, ranges = (self.state.scratch / name for name in ("trial.onnx", "ranges.json"))
        try:
            quantise_nodes(self.state, self.source, target, [node], self.types, ranges)
            return min(BROKEN, self.acceptance.damage(self.outputs(target)))
        except (GraphCrashed, ValueError, RuntimeError):
            return BROKEN
        finally:
            target.unlink(missing_ok=True)

    def holds(self, nodes: list[str]) -> bool:
        """Return whether the certify rows would most likely accept these nodes, if they are like the select rows.

        The graph stays until the next try.
        """
        try:
            self.make_graph(nodes)
            return self.keeps_budget(self.graph, LIKELIER)
        except (GraphCrashed, ValueError, RuntimeError):
            return False

    def keeps_budget(self, graph: Path, chance: float) -> bool:
        """Return whether the select rows foresee that the certify rows accept a graph with this chance."""
        outputs = self.outputs(graph)
        if not all_finite(outputs):
            return False
        return self.acceptance.likely_bound(outputs, self.certify_rows, chance) <= self.acceptance.budget

    def whole_graph_holds(self) -> bool:
        """Return whether the variant `int8` was made and is foreseen to keep the budget."""
        whole = [candidate for candidate in self.state.candidates if candidate.variant == INT8]
        try:
            return any(self.keeps_budget(candidate.path, LIKELY) for candidate in whole)
        except GraphCrashed:
            return False


def by_damage_for_time(sensitivity: Sensitivity, ms: Mapping[str, float]) -> list[str]:
    """Return the nodes that can be quantised, first those that do the least damage for the time they take in fp32."""
    usable = [name for name in sensitivity.ranking if sensitivity.damage[name] < BROKEN]
    return sorted(usable, key=lambda name: sensitivity.damage[name] / max(SHORTEST_MS, ms.get(name, 0.0)))


def without_worst(ranking: list[str], holds: Callable[[list[str]], bool], left_out: int) -> list[str]:
    """Return the ranking without its last nodes: 1, 2, 4 and so on until the rest holds; empty if it never does.

    The first try leaves out `left_out`. A graph with few nodes in float has few places where numbers are rounded once
    more, so it may hold where one with more of them doesn't.
    """
    while left_out < len(ranking):
        nodes = ranking[: len(ranking) - left_out]
        if holds(nodes):
            return nodes
        left_out = max(1, 2 * left_out)
    return []


def call(state: ExportState) -> None:
    """Make the candidate unless `int8` keeps the budget; say why it isn't made."""
    state.sensitivity = None
    if SEARCHED not in state.plan.variants:
        return
    search = Search(state)
    if not search.nodes:
        state.refused[SEARCHED] = "could not be made: no node that it could quantise"
    elif search.whole_graph_holds():
        state.refused[SEARCHED] = "not searched: int8 is foreseen to keep the budget with all nodes"
    elif (candidate := searched_candidate(state, search)) is not None:
        state.candidates.append(candidate)
    else:
        state.refused[SEARCHED] = "no choice of nodes that was tried is foreseen to keep the budget"
    if SEARCHED in state.refused:
        state.say(f"      {SEARCHED}: {state.refused[SEARCHED]}")


def searched_candidate(state: ExportState, search: Search) -> Candidate | None:
    """Rank the nodes and put as many as the budget allows into 8 bits; None if it allows none."""
    path = state.definition.folder / FILE
    graph, minutes = file_digest(state.fp32), state.definition.quantise.search_minutes
    state.sensitivity = sensitivity = explore(path, graph, search.nodes, search.damage, minutes, state.progress)
    ranking = by_damage_for_time(sensitivity, node_times(search.source, state.groups.select.first(TIMED)))
    chosen = without_worst(ranking, search.holds, left_out=int(len(ranking) == len(search.nodes)))
    state.say("      " + describe(sensitivity, graph, search, chosen))
    if not chosen:
        return None
    left = tuple(sorted(set(search.nodes) - set(chosen)))
    note = f"{len(chosen)} of {len(search.nodes)} nodes in 8 bits: {search.note}"
    return count_nodes(state, Candidate(SEARCHED, search.graph, left, note))


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
