"""Step report: write `evidence.json` with times, and `report.html`, beside the archive."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from jinja2 import Environment, PackageLoader

from onnxserve.archive.evidence import describe_proof
from onnxserve.archive.write import pretty

from .choose import served_threads, served_times
from .export_state import ExportState
from .plots import pareto, sensitivity_bars
from .step import Step
from .variants import SEARCHED


def add_times(state: ExportState) -> dict[str, Any]:
    """Return the archive's evidence, its digest, and the times on this machine."""
    return {
        "archive": {"file": state.archive.name, "sha256": state.sha256, "bytes": state.archive.stat().st_size},
        "timings": [asdict(timing) for timing in state.timings],
        "served": {"threads": served_threads(state), "batch": state.definition.serve.batch_size},
        **state.evidence,
    }


def searched_floats(state: ExportState) -> tuple[str, ...]:
    """Return the nodes that the searched variant leaves in float."""
    return next((candidate.excluded for candidate in state.candidates if candidate.variant == SEARCHED), ())


def call(state: ExportState) -> None:
    """Render both files; the page needs no network and no script."""
    stem = f"{state.definition.name}-{state.definition.version}"
    document = add_times(state)
    (state.store / f"{stem}.evidence.json").write_bytes(pretty(document))
    templates = Environment(loader=PackageLoader("onnxserve_export"), autoescape=True)
    ms = served_times(state.timings, served_threads(state), state.definition.serve.batch_size)
    drawn = {
        "ms": ms,
        "claims": describe_proof(document["summary"]),
        "pareto": pareto(document["variants"], ms, document["summary"]["budget"], state.model.name),
        "bars": sensitivity_bars(document["sensitivity"], searched_floats(state)),
    }
    template = templates.get_template("report.html.jinja")
    page = template.render(name=stem, definition=state.definition, **document, **drawn)
    (state.store / f"{stem}.report.html").write_text(page, encoding="utf-8")
    state.say(f"      {state.store / stem}.report.html")


STEP = Step("report", ("archive", "sha256", "evidence", "timings"), (), call)
