"""Step certify: one candidate after the other on the certify rows, the safest first, until one is refused."""

from __future__ import annotations

from dataclasses import replace

from onnxserve.archive import file_digest
from onnxserve.errors import CheckFailed

from .acceptance import Acceptance
from .arrays import main
from .certify_log import CertifyLog, CertifyTest
from .export_state import ExportState
from .output_similarity import compare
from .paired_statistics import PairedStatistics, spread_of
from .records import Candidate, Certified, Measured
from .step import Step


def call(state: ExportState) -> None:
    """Test the candidates in sequence; the last accepted one is the fastest, and it serves."""
    spread = spread_of(main(state.select_reference))
    acceptance = Acceptance(state.definition, state.split.certify, main(state.reference), spread)
    log = CertifyLog(state.store, state.definition.name, state.split.certify)
    results = {result.variant: result for result in state.measured}
    tests: list[CertifyTest] = []
    accepted: list[Candidate] = []
    for number, candidate in enumerate(state.sequence):
        state.progress("certify", number, len(state.sequence))
        result, test = certify(candidate, results[candidate.variant], state, acceptance, log)
        tests.append(test)
        results[candidate.variant] = result
        state.say(f"      {candidate.variant}: {result.refusal or summary(result)}")
        if result.refusal:
            why = f"not tried: {candidate.variant}, which is safer, was refused"
            untried = [untried.variant for untried in state.sequence[number + 1 :]]
            results |= {variant: replace(results[variant], refusal=why) for variant in untried}
            break
        accepted.append(candidate)
    before = [test for test in log.earlier(tests[-1].graph) if test not in tests]
    state.certified = Certified(tests, before, acceptance.spread)
    state.measured = [results[result.variant] for result in state.measured]
    if not accepted:
        raise none_passes(state, log)
    state.chosen = accepted[-1]
    state.say(f"      chosen: {state.chosen.variant}")


def certify(
    candidate: Candidate, result: Measured, state: ExportState, acceptance: Acceptance, log: CertifyLog
) -> tuple[Measured, CertifyTest]:
    """Test one candidate; the test is recorded before its outcome is shown."""
    graph, outputs = file_digest(candidate.path), main(state.outputs[candidate.variant])
    with log.turn():
        paired = acceptance.compare(outputs, log.level(graph))
        refusal = acceptance.verdict(paired)
        test = log.add(candidate.variant, graph, paired.bound, acceptance.budget, refused=bool(refusal))
    close = compare(acceptance.reference, outputs, acceptance.truth)
    return replace(result, paired=paired, closeness=close, refusal=refusal), test


def none_passes(state: ExportState, log: CertifyLog) -> CheckFailed:
    """Return the error that lists the refusals and says that each makes the next test on these rows stricter."""
    reasons = "; ".join(f"{result.variant}: {result.refusal}" for result in state.measured)
    refused = sum(test.refused for test in log.tests)
    return CheckFailed(
        "certify",
        f"no variant passes ({reasons})",
        "at least one",
        fix="give more rows, add fp32 to quantise.variants, or raise quantise.max_accuracy_drop; "
        f"{refused} graphs were refused on these rows so far, and each makes the next test stricter",
    )


def summary(result: Measured) -> str:
    """Describe a result in one line for the terminal."""
    paired: PairedStatistics | None = result.paired
    if paired is None:
        return result.refusal
    alone = " (only one row at a time: answers move with the batch)" if result.moves else ""
    return (
        f"accuracy {paired.accuracy:.2%} (torch {paired.reference_accuracy:.2%}), "
        f"drop at most {paired.bound:.2%}, {paired.flips:.2%} of answers differ{alone}"
    )


STEP = Step("certify", ("sequence", "measured", "outputs", "reference"), ("chosen", "certified", "measured"), call)
