"""`onnxserve explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Column, Table

from onnxserve.archive import Summary, is_signed, summarise

from .app import AsJson, app, out, show


def measured_here(summary: Summary) -> dict[str, Any] | None:
    """The evidence with times that export left beside the archive, if it is this archive's."""
    beside = summary.path.with_suffix(".evidence.json")
    try:
        document = msgspec.json.decode(beside.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return None
    same = document.get("summary", {}).get("model_sha256") == summary.evidence["summary"]["model_sha256"]
    return document if same else None


def times(document: dict[str, Any] | None) -> dict[str, float]:
    """Milliseconds a row by variant, at the setting to be served."""
    if document is None:
        return {}
    served = document["served"]
    return {
        one["variant"]: one["ms"]
        for one in document["timings"]
        if (one["threads"], one["batch"]) == (served["threads"], served["batch"])
    }


def table(summary: Summary, ms: dict[str, float]) -> Table:
    """A line for each variant that was tried."""
    verdicts = Column("verdict", overflow="fold")
    made = Table(Column("variant", no_wrap=True), "MB", "score", "drop", "flips", "speed-up", verdicts)
    evidence, torch = summary.evidence, ms.get("torch")
    for one in evidence["variants"]:
        paired, took = one["paired"], ms.get(one["variant"])
        cells = ["-"] * 3 if paired is None else [f"{paired[key]:.2%}" for key in ("accuracy", "bound", "flips")]
        verdict = "chosen" if one["variant"] == evidence["summary"]["variant"] else one["refusal"] or "may serve"
        made.add_row(
            one["variant"],
            f"{one['megabytes']:.1f}",
            *cells,
            f"{torch / took:.2f}x" if torch and took else "-",
            verdict + (", one row at a time" if one["moves"] else ""),
        )
    for variant, reason in evidence["refused"].items():
        made.add_row(variant, "-", "-", "-", "-", "-", reason)
    return made


def why(summary: Summary, ms: dict[str, float]) -> list[str]:
    """Sentences on the choice."""
    found, variant = summary.evidence["summary"], summary.evidence["summary"]["variant"]
    lines = [f"{variant} serves: the fastest certified to keep its answers within {found['budget']:.2%} of torch's."]
    if "bound" in found:
        lines.append(
            f"On {found['rows']} rows that nothing was fitted to it loses at most {found['bound']:.2%} "
            f"with 95 % confidence, and {found['flips']:.2%} of answers differ."
        )
    if found["moves"]:
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


@app.command()
def explain(
    archive: Annotated[Path, typer.Argument(help="A .mar file.")],
    *,
    as_json: AsJson = False,
) -> None:
    """What was tried for an archive, and why this won. Example: onnxserve explain model_store/digits-1.0.0.mar."""
    summary = summarise(archive)
    document = measured_here(summary)
    ms = times(document)

    def human() -> None:
        signed = "signed" if is_signed(archive) else "not signed"
        out.print(f"{summary.name} {summary.version}, sha256 {summary.sha256}, {signed}", markup=False)
        out.print(table(summary, ms))
        for line in why(summary, ms):
            out.print(line, markup=False)

    show({"why": why(summary, ms), "milliseconds_per_row": ms, "evidence": summary.evidence}, human, as_json=as_json)
