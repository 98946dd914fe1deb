"""What an archive's evidence says of the variants that its export tried, in words and tables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import msgspec

from .evidence import describe_proof, in_words, proof_of
from .evidence_form import TimedForm
from .read import Summary


@dataclass(frozen=True)
class TimedEvidence:
    """The evidence with times that an export left beside its archive, None without times; then `reason` says why."""

    document: dict[str, Any] | None
    reason: str = ""


def read_timed_evidence(summary: Summary) -> TimedEvidence:
    """Return what lies beside an archive; a file that is damaged or another archive's is named."""
    beside = summary.path.with_suffix(".evidence.json")
    try:
        document: dict[str, Any] = msgspec.json.decode(beside.read_bytes(), type=dict[str, Any])
        timed = msgspec.convert(document, TimedForm)
    except FileNotFoundError:
        return _untimed(f"{beside.name} beside it, which has them, is not here")
    except (OSError, msgspec.DecodeError) as error:
        return _untimed(f"{beside.name} beside it is damaged: {error}; remove it, or export the model again")
    if timed.summary.model_sha256 != summary.evidence["summary"].get("model_sha256", msgspec.UNSET):
        return _untimed(f"{beside.name} beside it is of another archive")
    has_times = timed.timings and timed.setting is not msgspec.UNSET
    return TimedEvidence(document) if has_times else _untimed(f"{beside.name} beside it has none")


def _untimed(why: str) -> TimedEvidence:
    return TimedEvidence(None, f"Times are not in the archive, and {why}.")


def times(timed: TimedEvidence) -> dict[str, float]:
    """Return the milliseconds per row by variant, at the setting to be served."""
    if timed.document is None:
        return {}
    setting = timed.document["served"]
    return {
        timing["variant"]: timing["ms"]
        for timing in timed.document["timings"]
        if (timing["threads"], timing["batch"]) == (setting["threads"], setting["batch"])
    }


def variant_rows(summary: Summary, ms: dict[str, float]) -> list[list[str]]:
    """Return each variant that was tried: its name, megabytes, score, drop, flips, speed-up and verdict, as texts."""
    evidence = summary.evidence
    source = ms.get(evidence["summary"].get("source", "torch"))
    rows = []
    for variant in evidence.get("variants", ()):  # none in one that was migrated
        name, paired = variant["variant"], variant.get("paired")
        measures = ["-"] * 3 if paired is None else [in_words(paired, key) for key in ("accuracy", "bound", "flips")]
        chosen = name == evidence["summary"].get("variant")
        verdict = f"chosen, {proof_of(evidence['summary'])}" if chosen else variant.get("refusal") or "may serve"
        rows.append(
            [
                name,
                in_words(variant, "megabytes", ".1f"),
                *measures,
                f"{source / ms[name]:.2f}x" if source and ms.get(name) else "-",
                verdict + (", one row at a time" if variant.get("moves") else ""),
            ]
        )
    return rows + [[name, *["-"] * 5, reason] for name, reason in evidence.get("refused", {}).items()]


def explain_choice(summary: Summary, timed: TimedEvidence) -> list[str]:
    """Explain the choice, and why there are no times, a sentence each."""
    proof = summary.evidence["summary"]
    lines = describe_proof(proof)
    if proof.get("moves"):
        lines.append("Its answers move with the batch, so workers run one row at a time.")
    refused = sum(test["refused"] for test in (summary.evidence.get("certify") or {}).get("earlier", []))
    if refused:
        lines.append(f"Earlier exports had {refused} graphs refused on the same rows, so its test was stricter.")
    sensitivity = summary.evidence.get("sensitivity")
    if sensitivity and sensitivity["damage"]:
        damage = {name: math.inf if value is None else value for name, value in sensitivity["damage"].items()}
        worst = sorted(damage.items(), key=lambda item: -item[1])[:3]
        lines.append("Most damage in 8 bits: " + ", ".join(f"{name} ({value:.2g})" for name, value in worst) + ".")
    return [*lines, timed.reason] if timed.reason else lines
