"""Step report: write `evidence.json` with times, and `report.html`, beside the archive."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from onnxserve.archive.write import pretty

from .choose import served_threads
from .export_state import ExportState
from .report_page import render
from .step import Step


def add_times(state: ExportState) -> dict[str, Any]:
    """Return the archive's evidence, its digest, and the times on this machine."""
    return {
        "archive": {"file": state.archive.name, "sha256": state.sha256, "bytes": state.archive.stat().st_size},
        "timings": [asdict(timing) for timing in state.timings],
        "served": {"threads": served_threads(state), "batch": state.definition.serve.batch_size},
        **state.evidence,
    }


def call(state: ExportState) -> None:
    """Write both files."""
    stem = f"{state.definition.name}-{state.definition.version}"
    document = add_times(state)
    (state.store / f"{stem}.evidence.json").write_bytes(pretty(document))
    (state.store / f"{stem}.report.html").write_text(render(stem, document), encoding="utf-8")
    state.say(f"      {state.store / stem}.report.html")


STEP = Step("report", ("archive", "sha256", "evidence", "timings"), (), call)
