"""Step certify: one candidate after the other on the certify rows, the safest first, until one is refused."""

from __future__ import annotations

from dataclasses import replace

from onnxserve.archive import file_digest
from onnxserve.errors import CheckFailed

from .certify_log import CertifyLog, CertifyTest
from .closeness import compare
from .judge import Judge
from .paired import Paired, spread_of
from .records import Candidate, Certified, Measured
from .step import Step
from .work import Work


def call(work: Work) -> None:
    """Test in sequence; the last that is accepted is the fastest, and serves."""
    judge = Judge(work.definition, work.split.certify, work.reference, spread_of(work.select_reference))
    log = CertifyLog(work.store, work.definition.name, work.split.certify)
    results = {result.variant: result for result in work.measured}
    tests: list[CertifyTest] = []
    accepted: list[Candidate] = []
    for number, candidate in enumerate(work.sequence):
        work.progress("certify", number, len(work.sequence))
        result, test = certify(candidate, results[candidate.variant], work, judge, log)
        tests.append(test)
        results[candidate.variant] = result
        work.say(f"      {candidate.variant}: {result.refusal or summary(result)}")
        if result.refusal:
            why = f"not tried: {candidate.variant}, which is safer, was refused"
            untried = [untried.variant for untried in work.sequence[number + 1 :]]
            results |= {variant: replace(results[variant], refusal=why) for variant in untried}
            break
        accepted.append(candidate)
    before = [test for test in log.earlier(tests[-1].graph) if test not in tests]
    work.certified = Certified(tests, before, judge.spread)
    work.measured = [results[result.variant] for result in work.measured]
    if not accepted:
        raise none_passes(work, log)
    work.chosen = accepted[-1]
    work.say(f"      chosen: {work.chosen.variant}")


def certify(
    candidate: Candidate, result: Measured, work: Work, judge: Judge, log: CertifyLog
) -> tuple[Measured, CertifyTest]:
    """One test, recorded before its outcome is shown."""
    graph, outputs = file_digest(candidate.path), work.outputs[candidate.variant]
    with log.turn():
        paired = judge.compare(outputs, log.level(graph))
        refusal = judge.verdict(paired)
        test = log.add(candidate.variant, graph, paired.bound, judge.budget, refused=bool(refusal))
    close = compare(judge.reference, outputs, judge.truth)
    return replace(result, paired=paired, closeness=close, refusal=refusal), test


def none_passes(work: Work, log: CertifyLog) -> CheckFailed:
    """What was refused, and that another try on the same rows is dearer."""
    reasons = "; ".join(f"{result.variant}: {result.refusal}" for result in work.measured)
    refused = sum(test.refused for test in log.tests)
    return CheckFailed(
        "certify",
        f"no variant passes ({reasons})",
        "at least one",
        fix="give more rows, add fp32 to quantise.variants, or raise quantise.max_accuracy_drop; "
        f"{refused} graphs were refused on these rows so far, and each makes the next test stricter",
    )


def summary(result: Measured) -> str:
    """One line for the terminal."""
    paired: Paired | None = result.paired
    if paired is None:
        return result.refusal
    alone = " (only one row at a time: answers move with the batch)" if result.moves else ""
    return (
        f"accuracy {paired.accuracy:.2%} (torch {paired.reference_accuracy:.2%}), "
        f"drop at most {paired.bound:.2%}, {paired.flips:.2%} of answers differ{alone}"
    )


STEP = Step("certify", ("sequence", "measured", "outputs", "reference"), ("chosen", "certified", "measured"), call)
