"""`onnxserve archive explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxserve.archive import Summary, is_signed, summarise
from onnxserve.archive.explanation import explain_choice, read_timed_evidence, times, variant_rows
from onnxserve.cli import groups
from onnxserve.cli.console import AsJson, out, show, show_lines
from onnxserve.cli.table import Number, print_table

HEADINGS = ("variant", *map(Number, ("MB", "score", "drop", "flips", "speed-up")), "verdict")


def explain_migrated(summary: Summary, *, as_json: bool) -> None:
    """Say of an archive of TorchServe that there was nothing to choose, and nothing was proven."""
    reason = summary.evidence["summary"].get("unproven") or "nothing stands behind its answers"
    why_unproven = f"It is unproven: {reason}."
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
    timed = read_timed_evidence(summary)
    ms, why = times(timed), explain_choice(summary, timed)

    def human() -> None:
        signed = "signed" if is_signed(archive) else "not signed"
        out.print(f"{summary.name} {summary.version}, sha256 {summary.sha256}, {signed}", markup=False)
        print_table(HEADINGS, variant_rows(summary, ms))
        out.print("\n".join(why), markup=False)

    show(
        {"why": why, "milliseconds_per_row": ms, "evidence": summary.evidence},
        human,
        as_json=as_json,
    )
