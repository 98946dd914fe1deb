"""`onnxserve archive explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from onnxserve.archive import Summary, is_signed, summarise
from onnxserve.archive.evidence import describe_proof, proof_of
from onnxserve.cli import groups
from onnxserve.cli.console import AsJson, out, show, show_lines
from onnxserve.cli.table import Number, print_table

HEADINGS = ("variant", *map(Number, ("MB", "score", "drop", "flips", "speed-up")), "verdict")


def read_timed_evidence(summary: Summary) -> dict[str, Any] | None:
    """Return the evidence with times that export left beside the archive; None without it, or if it is another's."""
    beside = summary.path.with_suffix(".evidence.json")
    try:
        document = msgspec.json.decode(beside.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return None
    same = document.get("summary", {}).get("model_sha256") == summary.evidence["summary"].get("model_sha256")
    return document if same else None


def times(document: dict[str, Any] | None) -> dict[str, float]:
    """Return the milliseconds per row by variant, at the setting to be served."""
    if document is None:
        return {}
    setting = document["served"]
    return {
        timing["variant"]: timing["ms"]
        for timing in document["timings"]
        if (timing["threads"], timing["batch"]) == (setting["threads"], setting["batch"])
    }


def variant_rows(summary: Summary, ms: dict[str, float]) -> list[list[str]]:
    """Return a row of HEADINGS for each variant that was tried."""
    evidence = summary.evidence
    source = ms.get(evidence["summary"].get("source", "torch"))
    rows = []
    for variant in evidence.get("variants", ()):  # none in one that was migrated
        name, paired = variant["variant"], variant["paired"]
        measures = ["-"] * 3 if paired is None else [f"{paired[key]:z.2%}" for key in ("accuracy", "bound", "flips")]
        chosen = name == evidence["summary"]["variant"]
        verdict = f"chosen, {proof_of(evidence['summary'])}" if chosen else variant["refusal"] or "may serve"
        rows.append(
            [
                name,
                f"{variant['megabytes']:.1f}",
                *measures,
                f"{source / ms[name]:.2f}x" if source and ms.get(name) else "-",
                verdict + (", one row at a time" if variant["moves"] else ""),
            ]
        )
    return rows + [[name, *["-"] * 5, reason] for name, reason in evidence.get("refused", {}).items()]


def explain_choice(summary: Summary, ms: dict[str, float]) -> list[str]:
    """Explain the choice, a sentence each."""
    proof = summary.evidence["summary"]
    lines = describe_proof(proof)
    if proof.get("moves"):
        lines.append("Its answers move with the batch, so workers run one row at a time.")
    refused = sum(test["refused"] for test in summary.evidence.get("certify", {}).get("earlier", []))
    if refused:
        lines.append(f"Earlier exports had {refused} graphs refused on the same rows, so its test was stricter.")
    sensitivity = summary.evidence.get("sensitivity")
    if sensitivity and sensitivity["damage"]:
        worst = sorted(sensitivity["damage"].items(), key=lambda item: -item[1])[:3]
        lines.append("Most damage in 8 bits: " + ", ".join(f"{name} ({value:.2g})" for name, value in worst) + ".")
    if not ms:
        lines.append("Times are not in the archive; the .evidence.json beside it, which has them, is not here.")
    return lines


def explain_migrated(summary: Summary, *, as_json: bool) -> None:
    """Say of an archive of TorchServe that there was nothing to choose, and nothing was proven."""
    why_unproven = f"It is unproven: {summary.evidence['summary']['unproven']}."
    heading = f"{summary.name} {summary.version}, sha256 {summary.sha256}"
    show_lines({"why": [why_unproven], "evidence": summary.evidence}, heading, why_unproven, as_json=as_json)


@groups.archive.command()
def explain(
    archive: Annotated[Path, typer.Argument(help="The archive, a .mar file.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show which variants the export tried and why it chose this one.

    Example: onnxserve archive explain model_store/digits-1.0.0.mar
    """
    summary = summarise(archive)
    if summary.evidence["summary"].get("migrated"):
        explain_migrated(summary, as_json=as_json)
        return
    ms = times(read_timed_evidence(summary))

    def human() -> None:
        signed = "signed" if is_signed(archive) else "not signed"
        out.print(f"{summary.name} {summary.version}, sha256 {summary.sha256}, {signed}", markup=False)
        print_table(HEADINGS, variant_rows(summary, ms))
        out.print("\n".join(explain_choice(summary, ms)), markup=False)

    show(
        {"why": explain_choice(summary, ms), "milliseconds_per_row": ms, "evidence": summary.evidence},
        human,
        as_json=as_json,
    )
