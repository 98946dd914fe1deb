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


def in_words(numbers: Mapping[str, Any], name: str, form: str = "z.2%") -> str:
    """Return a number of evidence by a format; `unknown` for one that is missing, or that JSON has no number for."""
    number = numbers.get(name)
    return "unknown" if number is None else format(number, form)


def describe_loss(paired: Mapping[str, Any], task: str, claim: str, tolerance: float, measure: str = "") -> str:
    """Describe a comparison with the source, by the task, in one line; shares become percentages, without a `-0.00%`.

    `measure` names what is measured of a task that has a measure of its own, from 0 to 1.
    """
    drop, bound, flips = (in_words(paired, name) for name in ("drop", "bound", "flips"))
    if task == "labels" and claim == "accuracy":
        scores = f"accuracy {in_words(paired, 'accuracy')} (source {in_words(paired, 'reference_accuracy')})"
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
    bound = f"at most {in_words(paired, 'ranking_bound')} lower than the source's"
    return f"; nDCG at 10 of searches {in_words(paired, 'ranking')}, {bound}"


def _describe_documents(paired: Mapping[str, Any], measure: str) -> str:
    """Describe how well documents of queries are ordered, and how far their scores move."""
    source = paired["ranking"] + (paired.get("ranking_drop") or 0.0)
    score = f"mean {measure} {in_words(paired, 'ranking')} (source {source:.2%})"
    moves = f"scores move by {in_words(paired, 'drop')} on average, at most {in_words(paired, 'bound')}"
    return f"{score}, at most {in_words(paired, 'ranking_bound')} lower; {moves}"


def _describe_measure(paired: Mapping[str, Any], claim: str, measure: str) -> str:
    if not measure:
        score, source, bound = (in_words(paired, name, ".4g") for name in ("accuracy", "reference_accuracy", "bound"))
        return f"mean score {score} (source {source}), at most {bound} lower"
    if paired.get("ranking") is not None:
        return _describe_documents(paired, measure)
    score = in_words(paired, "accuracy")
    if claim != "accuracy":
        least = "unknown" if paired.get("bound") is None else f"{1 - paired['bound']:.2%}"
        return f"mean {measure} beside the source's answers {score}, at least {least}"
    source, bound, flips = (in_words(paired, name) for name in ("reference_accuracy", "bound", "flips"))
    return f"mean {measure} {score} (source {source}), at most {bound} lower, {flips} of rows change"


def describe_proof(summary: Mapping[str, Any]) -> list[str]:
    """Explain by what the variant of an archive may serve, a sentence each."""
    proof, variant = proof_of(summary), summary.get("variant", "the model")
    lines = ["It is a draft: only fp32 was made."] if summary.get("draft") else []
    if proof == PARITY:
        lines.append(f"{variant} serves by parity: {_compared(summary.get('row_parity'))}")
        lines.append("Nothing is claimed of rows that were not compared.")
    elif proof == UNPROVEN:
        lines.append(f"{variant} is unproven: {summary.get('unproven') or 'nothing stands behind its answers'}.")
    else:
        budget = in_words(summary, "budget")
        lines.append(f"{variant} serves: the fastest certified to keep its loss within {budget} of its source.")
    if "bound" in summary:
        claim, tolerance = summary.get("claim", "accuracy"), summary.get("tolerance") or 0.0
        task = summary.get("task", "labels")  # the first archives had no other
        loss = describe_loss(summary, task, claim, tolerance, summary.get("measure", ""))
        confidence = "with 95 % confidence" if proof == CERTIFIED else "at the bounds' own level, without a test"
        count = f"{summary.get('rows', 'some')} {summary.get('unit', 'rows')}"
        lines.append(f"On {count} that nothing was fitted to, {confidence}: {loss}.")
    if unseen := summary.get("unseen_labels"):
        lines.append(f"Nothing is known of labels that none of these rows has: {', '.join(unseen)}.")
    if reason := why_no_profile(summary):
        lines.append(f"Drift isn't judged: {reason}.")
    return lines


def _compared(parity: Mapping[str, Any] | None) -> str:
    if parity is None:
        return "the rows that it answers as its source does aren't recorded."
    rows = f"{parity['rows']} rows, {parity['golden']} golden rows and {parity['generated']} generated ones"
    deviation = in_words(parity, "deviation", ".2g")
    return f"it answers {rows} as its source does; the largest deviation is {deviation} of the outputs' spread."
