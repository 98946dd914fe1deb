"""What an archive's evidence claims: by which proof its variant may serve, and what it may lose.

`certified`: on rows that nothing was fitted to, the loss has a bound within the budget. `parity`: the fp32 graph
answered every row that was compared as its source does, within float tolerance; nothing is claimed of other rows.
`unproven`: neither; whoever made the archive asked for it all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from onnxserve.errors import OnnxserveError

from .file_cache import cached_by_file
from .read import member, open_archive

CERTIFIED, PARITY, UNPROVEN = "certified", "parity", "unproven"
EVIDENCE, PROFILE = "evidence.json", "profile.json"


def proof_of(summary: Mapping[str, Any]) -> str:
    """Return the proof that the summary of an archive's evidence names; until 0.3 it had none but a certificate."""
    return str(summary.get("proof") or CERTIFIED)


def read_proof_kind(path: Path) -> str:
    """Return the proof of an archive: `unproven` without evidence of ours, empty for a file that can't be read."""
    return _read(path, lambda _, summary: UNPROVEN if summary is None else proof_of(summary))


def why_no_profile(summary: Mapping[str, Any]) -> str:
    """Return why live rows of an archive have no profile to be compared with, empty if they have or nobody knows."""
    profile = summary.get("drift_profile")
    if not profile or profile["certify"] >= profile["needed"]:
        return ""
    few = f"{profile['certify']} certify {profile['unit']} are too few for a profile"
    return f"{few}; {profile['needed']} would do, about {profile['wanted']} {profile['unit']} in all"


def read_why_no_profile(path: Path) -> str:
    """Return the same of an archive; empty for a file that can't be read."""

    def why(names: list[str], summary: Mapping[str, Any] | None) -> str:
        return "" if PROFILE in names else why_no_profile(summary or {}) or "it has no profile of the rows of its proof"

    return _read(path, why)


def _read(path: Path, judge: Callable[[list[str], Mapping[str, Any] | None], str]) -> str:
    """Return what `judge` says of an archive's files and summary, None without evidence; empty if it can't be read."""
    try:
        return judge(*_read_summary(path))
    except (OnnxserveError, OSError, msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return ""


@cached_by_file
def _read_summary(path: Path) -> tuple[list[str], Mapping[str, Any] | None]:
    """Return the names of an archive's files, and the summary of its evidence, None without evidence."""
    with open_archive(path) as archive:
        names = archive.namelist()
        return names, msgspec.json.decode(member(archive, EVIDENCE))["summary"] if EVIDENCE in names else None


def describe_loss(paired: Mapping[str, Any], task: str, claim: str, tolerance: float, measure: str = "") -> str:
    """Describe a comparison with the source, by the task, in one line; shares become percentages, without a `-0.00%`.

    `measure` names what is measured of a task that has a measure of its own, from 0 to 1.
    """
    drop, bound, flips = (f"{paired[name]:z.2%}" for name in ("drop", "bound", "flips"))
    if task == "labels" and claim == "accuracy":
        scores = f"accuracy {paired['accuracy']:.2%} (source {paired['reference_accuracy']:.2%})"
        return f"{scores}, drop at most {bound}, {flips} of answers differ"
    if task == "labels":
        return f"{drop} of answers differ from the source's, at most {bound}"
    if task == "regression":
        return f"{drop} of rows lie more than {tolerance:g} spreads from the source's values, at most {bound}"
    if task == "embedding":
        turned = f"{drop} of vectors turn by more than {tolerance:g} (1 less the cosine), at most {bound}"
        return f"{turned}, {flips} have another nearest neighbour{_describe_ranking(paired)}"
    return _describe_measure(paired, claim, measure)


def _describe_ranking(paired: Mapping[str, Any]) -> str:
    """Describe how well vectors find others with their label, empty where they have none."""
    if paired.get("ranking") is None:
        return ""
    bound = f"at most {paired['ranking_bound']:z.2%} lower than the source's"
    return f"; nDCG at 10 of searches {paired['ranking']:.2%}, {bound}"


def _describe_documents(paired: Mapping[str, Any], measure: str) -> str:
    """Describe how well documents of queries are ordered, and how far their scores move."""
    source = paired["ranking"] + paired["ranking_drop"]
    order = (
        f"mean {measure} {paired['ranking']:.2%} (source {source:.2%}), at most {paired['ranking_bound']:z.2%} lower"
    )
    return f"{order}; scores move by {paired['drop']:z.2%} on average, at most {paired['bound']:z.2%}"


def _describe_measure(paired: Mapping[str, Any], claim: str, measure: str) -> str:
    if not measure:
        scores = f"mean score {paired['accuracy']:.4g} (source {paired['reference_accuracy']:.4g})"
        return f"{scores}, at most {paired['bound']:.4g} lower"
    if paired.get("ranking") is not None:
        return _describe_documents(paired, measure)
    score, bound = f"{paired['accuracy']:.2%}", paired["bound"]
    if claim != "accuracy":
        return f"mean {measure} beside the source's answers {score}, at least {1 - bound:.2%}"
    source, flips = f"(source {paired['reference_accuracy']:.2%})", f"{paired['flips']:.2%} of rows change"
    return f"mean {measure} {score} {source}, at most {bound:z.2%} lower, {flips}"


def describe_proof(summary: Mapping[str, Any]) -> list[str]:
    """Explain by what the variant of an archive may serve, a sentence each."""
    proof, variant = proof_of(summary), summary.get("variant", "the model")
    lines = ["It is a draft: only fp32 was made."] if summary.get("draft") else []
    if proof == PARITY:
        lines.append(f"{variant} serves by parity: {_compared(summary['row_parity'])}")
        lines.append("Nothing is claimed of rows that were not compared.")
    elif proof == UNPROVEN:
        lines.append(f"{variant} is unproven: {summary.get('unproven') or 'nothing stands behind its answers'}.")
    else:
        lines.append(
            f"{variant} serves: the fastest certified to keep its loss within {summary['budget']:.2%} of its source."
        )
    if "bound" in summary:
        claim, tolerance = summary.get("claim", "accuracy"), float(summary.get("tolerance", 0))
        loss = describe_loss(summary, summary["task"], claim, tolerance, summary.get("measure", ""))
        confidence = "with 95 % confidence" if proof == CERTIFIED else "at the bounds' own level, without a test"
        count = f"{summary['rows']} {summary.get('unit', 'rows')}"
        lines.append(f"On {count} that nothing was fitted to, {confidence}: {loss}.")
    if unseen := summary.get("unseen_labels"):
        lines.append(f"Nothing is known of labels that none of these rows has: {', '.join(unseen)}.")
    if reason := why_no_profile(summary):
        lines.append(f"Drift isn't judged: {reason}.")
    return lines


def _compared(parity: Mapping[str, Any]) -> str:
    rows = f"{parity['rows']} rows, {parity['golden']} golden rows and {parity['generated']} generated ones"
    return (
        f"it answers {rows} as its source does; the largest deviation is {parity['deviation']:.2g} of the outputs' "
        "spread."
    )
