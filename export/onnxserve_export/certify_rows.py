"""What the candidates of the sequence answer to the certify rows, which the steps before `certify` leave alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from .arrays import Arrays
from .batches import Batches
from .export_state import ExportState
from .graph_outputs import outputs_for
from .outputs import all_finite
from .preprocess import certify_alone
from .records import Candidate, Measured
from .run import GraphCrashed
from .timing import cpus
from .variants import FP32


def take_out_failing(state: ExportState, results: dict[str, Measured]) -> None:
    """Run the sequence on the certify rows, and take out of it what has no finite answer for each of them.

    As many candidates run at a time as there are cores.
    """
    state.outputs, sequence = {}, state.sequence
    batches = [certify_batches(state, results[candidate.variant]) for candidate in sequence]
    with ThreadPoolExecutor(cpus()) as pool:
        running = [pool.submit(outputs_of, state, *pair) for pair in zip(sequence, batches, strict=True)]
    for candidate, future in zip(sequence, running, strict=True):
        try:
            outputs = future.result()
            refusal = "" if all_finite(outputs) else "gives outputs that are not finite"
        except GraphCrashed as error:
            refusal = f"crashed: {error}"
        results[candidate.variant] = replace(results[candidate.variant], refusal=refusal)
        if refusal:
            state.say(f"      {candidate.variant}: {refusal}")
        else:
            state.outputs[candidate.variant] = outputs
    state.sequence = [candidate for candidate in sequence if candidate.variant in state.outputs]


def certify_batches(state: ExportState, result: Measured) -> Batches:
    """Return the certify rows in batches, or one by one where the candidate may serve only one row at a time."""
    return certify_alone(state) if result.moves else state.groups.certify


def outputs_of(state: ExportState, candidate: Candidate, batches: Batches) -> Arrays:
    """Return a candidate's outputs for the certify rows; GraphCrashed if it can't be run."""
    if candidate.variant == FP32 and state.fp32_outputs is not None and batches is state.groups.certify:
        return state.fp32_outputs.of(batches)
    return outputs_for(candidate.path, batches, state.row_axes, state.scratch, state.provider)
