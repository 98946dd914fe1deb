"""Step certify: one candidate after the other on the certify rows, the safest first, until one is refused.

A graph that is equal to its source needs no certificate: where the rows give it none, it serves by parity.
"""

from __future__ import annotations

from dataclasses import replace

from onnxserve.archive import file_digest
from onnxserve.archive.evidence import CERTIFIED, PARITY, UNPROVEN
from onnxserve.errors import CheckFailed
from onnxserve_handlers.outputs import Outputs, pad

from .acceptance import Acceptance, basis_of, budget_of, least_rows
from .arrays import main
from .certify_log import CertifyLog, CertifyTest
from .certify_rows import take_out_failing
from .choose import variants_equal_to_source
from .export_state import ExportState
from .measure import acceptance_on, loss_of, sized, spreads_of
from .output_similarity import compare
from .plan import advice
from .records import Candidate, Certified, Measured
from .step import Step
from .variants import FP32


def call(state: ExportState) -> None:
    """Accept the candidates in sequence; the last accepted one is the fastest, and it serves."""
    log = CertifyLog(state.store, state.definition.name, state.split.certify)
    acceptance = certify_acceptance(state) if state.split.units("certify") else None
    results = {result.variant: result for result in state.measured}
    take_out_failing(state, results)
    tests: list[CertifyTest] = []
    accepted: list[Candidate] = []
    equal = variants_equal_to_source(state)
    for number, candidate in enumerate(state.sequence):
        state.progress("certify", number, len(state.sequence))
        result = on_certify_rows(state, results[candidate.variant], acceptance)
        needed = rows_for(state, log, candidate)
        if acceptance is not None and needed <= state.plan.certify:
            result, test = certify(candidate, result, state, acceptance, log)
            tests.append(test)
        else:
            result = replace(result, refusal=too_few(state, candidate, needed))
        if result.refusal and candidate.variant in equal:
            result = by_parity(state, result)
        results[candidate.variant] = result
        state.say(f"      {candidate.variant}: {result.refusal or summary(state, result)}")
        if result.refusal:
            why = f"not tried: {candidate.variant}, which is safer, was refused"
            untried = [untried.variant for untried in state.sequence[number + 1 :]]
            results |= {variant: replace(results[variant], refusal=why) for variant in untried}
            break
        accepted.append(candidate)
    if not accepted and (unproven := without_proof(state, results)):
        results[unproven.variant] = replace(results[unproven.variant], proof=UNPROVEN)
        accepted.append(unproven)
    if accepted and state.options.development_version:
        variant = accepted[-1].variant
        results[variant] = replace(results[variant], proof=UNPROVEN)
    before = [test for test in log.earlier(tests[-1].graph if tests else "") if test not in tests]
    state.certified = Certified(tests, before, spreads_of(state).tolist())
    state.measured = [results[result.variant] for result in state.measured]
    if not accepted:
        raise none_passes(state, log)
    state.chosen = accepted[-1]
    state.say(f"      chosen: {state.chosen.variant}, {results[state.chosen.variant].proof}")


def certify_acceptance(state: ExportState) -> Acceptance:
    """Return the comparison with the source on the certify rows."""
    return acceptance_on(state, state.split.certify, state.reference, state.groups.certify)


def on_certify_rows(state: ExportState, result: Measured, acceptance: Acceptance | None) -> Measured:
    """Compare a candidate with its source on the certify rows, if there are any, without a test."""
    if acceptance is None:
        return result
    outputs = certify_outputs(state, result.variant)
    expected, actual = pad([main(acceptance.reference), main(outputs)])
    close = compare(expected, actual, acceptance.criterion.truth)
    return replace(result, paired=acceptance.compare(outputs), closeness=close)


def certify_outputs(state: ExportState, variant: str) -> Outputs:
    """Return a candidate's outputs for the certify rows."""
    return sized(state, state.outputs[variant], state.groups.certify)


def by_parity(state: ExportState, result: Measured) -> Measured:
    """Return the result of a graph that is equal to its source, accepted by parity.

    If only golden and generated rows were compared, no row of the definition stands behind it: it is unproven.
    """
    proven = state.row_parity is not None and state.row_parity.rows > 0
    return replace(result, refusal="", proof=PARITY if proven else UNPROVEN)


def rows_for(state: ExportState, log: CertifyLog, candidate: Candidate) -> float:
    """Return the certify rows that a candidate's test wants at its level; a test that can't be passed isn't made."""
    level = log.level(file_digest(candidate.path))
    return least_rows(state.definition, level, basis_of(state.split, state.task)) or float("inf")


def too_few(state: ExportState, candidate: Candidate, needed: float) -> str:
    """Return why a candidate isn't tested."""
    reason = f"{state.plan.certify} certify {state.split.unit} can't certify it"
    reason += (
        f", {needed:.0f} or more can" if 0 < needed < float("inf") else "; no number of rows can, at a budget of 0"
    )
    if candidate.variant == FP32 and state.row_parity is not None and state.row_parity.fault:
        return f"{state.row_parity.fault}; {reason}"
    return reason


def certify(
    candidate: Candidate, result: Measured, state: ExportState, acceptance: Acceptance, log: CertifyLog
) -> tuple[Measured, CertifyTest]:
    """Test one candidate; the test is recorded before its outcome is shown."""
    graph = file_digest(candidate.path)
    with log.turn():
        paired = acceptance.compare(certify_outputs(state, candidate.variant), log.level(graph))
        refusal = acceptance.verdict(paired)
        test = log.add(candidate.variant, graph, paired.worst_bound, acceptance.budget, refused=bool(refusal))
    return replace(result, paired=paired, refusal=refusal, proof="" if refusal else CERTIFIED), test


def without_proof(state: ExportState, results: dict[str, Measured]) -> Candidate | None:
    """Return the safest candidate if it may serve unproven; None if nobody asked for that.

    A loss beyond the budget on the rows that there are is no lack of proof, so it may not.
    """
    if not state.sequence or not (state.options.unproven or state.options.draft):
        return None
    safest, budget = state.sequence[0], budget_of(state.definition)
    losses = [results[safest.variant].paired, results[safest.variant].select]
    return safest if all(loss is None or loss.worst_drop <= budget for loss in losses) else None


def none_passes(state: ExportState, log: CertifyLog) -> CheckFailed:
    """Return the error that lists the refusals and says that each makes the next test on these rows stricter."""
    reasons = "; ".join(f"{result.variant}: {result.refusal}" for result in state.measured)
    refused = sum(test.refused for test in log.tests)
    spent = f"; {refused} graphs were refused on these rows so far, and each makes the next test stricter"
    return CheckFailed(
        "certify", f"no variant passes ({reasons})", "at least one", fix=advice(state) + (spent if refused else "")
    )


def summary(state: ExportState, result: Measured) -> str:
    """Describe a result in one line for the terminal."""
    alone = " (only one row at a time: answers move with the batch)" if result.moves else ""
    if result.paired is None:
        return f"equal to its source on every row that was compared{alone}"
    return loss_of(state, result.paired) + alone


STEP = Step(
    "certify", ("sequence", "measured", "reference", "groups"), ("chosen", "certified", "measured", "outputs"), call
)
