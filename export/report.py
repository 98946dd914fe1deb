"""Step report: `evidence.json` with times, and `report.html`, beside the archive."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, FileSystemLoader

from onnxserve.archive.write import pretty
from onnxserve.places import resource

from .step import Step
from .work import Work


def with_times(work: Work) -> dict[str, Any]:
    """The archive's evidence, its digest, and what was timed on this machine."""
    return {
        "archive": {"file": work.archive.name, "sha256": work.sha256, "bytes": work.archive.stat().st_size},
        "milliseconds_per_row": work.timings,
        "timed_at_batch": work.definition.serve.batch_size,
        **work.evidence,
    }


def call(work: Work) -> None:
    """Render both files; the page needs no network and no script."""
    stem = f"{work.definition.name}-{work.definition.version}"
    document = with_times(work)
    (work.store / f"{stem}.evidence.json").write_bytes(pretty(document))
    templates = Environment(loader=FileSystemLoader(resource("export") / "templates"), autoescape=True)
    page = templates.get_template("report.html.jinja").render(name=stem, definition=work.definition, **document)
    (work.store / f"{stem}.report.html").write_text(page, encoding="utf-8")
    work.say(f"      {work.store / stem}.report.html")


STEP = Step("report", ("archive", "sha256", "evidence", "timings"), (), call)
