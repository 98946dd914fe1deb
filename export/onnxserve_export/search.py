"""Step search: where the whole graph in 8 bits misses the budget, find the nodes that keep it: the variant `mixed`."""

from __future__ import annotations

from pathlib import Path

import onnx

from onnxserve.archive import file_digest

from .batches import Batches
from .environment import cpu_flags
from .export_state import ExportState
from .fitting import quantise_fitted
from .graph_outputs import outputs_for
from .int8 import quantisable, quantise_nodes, types_for
from .measure import golden_fault, select_acceptance, sized
from .node_choice import BROKEN, LIKELY, by_damage_for_time, chance_within, choose_nodes
from .node_times import node_times
from .outputs import all_finite
from .quantise import count_nodes, preprocess_graph, write_graph
from .records import Candidate, Sensitivity
from .run import GraphCrashed
from .sensitivity import FILE, explore
from .step import Step
from .variants import INT8, SEARCHED

TIMED = 4  # batches that tell how long each node takes


class Search:
    """Quantises chosen nodes and foresees whether the result may serve."""

    def __init__(self, state: ExportState) -> None:
        self.state = state
        self.source = preprocess_graph(state)
        self.types = types_for(cpu_flags(), state.definition.serve.provider)
        self.nodes, _ = quantisable(onnx.load(self.source, load_external_data=False), state.definition.quantise.exclude)
        self.acceptance = select_acceptance(state)
        self.certify_rows = state.split.units("certify")
        self.graph, self.note = state.scratch / f"{SEARCHED}.onnx", ""
        self._attempt, self._attempt_note = state.scratch / "attempt.onnx", ""

    def damage(self, node: str) -> float:
        """Return the damage of one node alone in 8 bits."""
        state, select = self.state, self.state.groups.select
        target, ranges = (state.scratch / name for name in ("trial.onnx", "ranges.json"))
        try:
            quantise_nodes(state, self.source, target, [node], self.types, ranges)
            outputs = outputs_for(target, select, state.row_axes, state.scratch, state.provider)
            return min(BROKEN, self.acceptance.damage(sized(state, outputs, select)))
        except Exception:  # noqa: BLE001 - a toolchain's failure, whatever its type
            return BROKEN
        finally:
            target.unlink(missing_ok=True)

    def attempt(self, nodes: list[str]) -> float:
        """Write a graph with these nodes in 8 bits, and return the chance that it may serve."""
        try:
            self._attempt_note = quantise_fitted(self.state, self.source, self._attempt, nodes, self.types)
            write_graph(self._attempt, onnx.load(self._attempt))
        except Exception:  # noqa: BLE001 - as above
            return 0.0
        return self.chance(self._attempt)

    def keep(self) -> None:
        """Make the last attempt's graph the variant's; `note` says how it was made."""
        self._attempt.replace(self.graph)
        self.note = self._attempt_note

    def chance(self, graph: Path) -> float:
        """Return the chance that the certify rows accept a graph, if they are like the select rows.

        Without finite outputs and right answers to the golden rows, it may not serve at all.
        """
        state, groups = self.state, self.state.groups
        try:
            batches = Batches(groups.select.path, groups.select.start, groups.golden.stop)  # they follow each other
            run = state.start(graph, batches)
            select, golden = run.of(groups.select), run.of(groups.golden)
        except GraphCrashed:
            return 0.0
        if not (all_finite(select) and all_finite(golden)) or golden_fault(state, golden):
            return 0.0
        answers = sized(state, select, groups.select)
        loss = self.acceptance
        return chance_within(lambda chance: loss.likely_bound(answers, self.certify_rows, chance), loss.budget)

    @property
    def whole_graph_was_made(self) -> bool:
        """Whether `int8` competes, so that all nodes in 8 bits were looked at before the search."""
        return any(candidate.variant == INT8 for candidate in self.state.candidates)

    def whole_graph_holds(self) -> bool:
        """Return whether the variant `int8` was made and is foreseen to serve."""
        whole = [candidate for candidate in self.state.candidates if candidate.variant == INT8]
        return any(self.chance(candidate.path) >= LIKELY for candidate in whole)


def call(state: ExportState) -> None:
    """Make the candidate unless `int8` is foreseen to serve; say why it isn't made."""
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
    ms = node_times(search.source, state.groups.probe.first(TIMED))
    ranking = by_damage_for_time(sensitivity, ms)
    left_out = int(search.whole_graph_was_made and len(ranking) == len(search.nodes))
    chosen = choose_nodes(ranking, left_out, search.attempt, search.keep, ms)
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
