"""Step report: `evidence.json` with times, and `report.html`, beside the archive."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from jinja2 import Environment, PackageLoader

from onnxserve.archive.write import pretty

from .choose import served_threads, served_times
from .plots import bars, pareto
from .quantise import SEARCHED
from .step import Step
from .work import Work


def with_times(work: Work) -> dict[str, Any]:
    """The archive's evidence, its digest, and what was timed on this machine."""
    return {
        "archive": {"file": work.archive.name, "sha256": work.sha256, "bytes": work.archive.stat().st_size},
        "timings": [asdict(one) for one in work.timings],
        "served": {"threads": served_threads(work), "batch": work.definition.serve.batch_size},
        **work.evidence,
    }


def searched_floats(work: Work) -> tuple[str, ...]:
    """Nodes that the searched variant leaves in float."""
    return next((one.excluded for one in work.candidates if one.variant == SEARCHED), ())


def call(work: Work) -> None:
    """Render both files; the page needs no network and no script."""
    stem = f"{work.definition.name}-{work.definition.version}"
    document = with_times(work)
    (work.store / f"{stem}.evidence.json").write_bytes(pretty(document))
    templates = Environment(loader=PackageLoader("onnxserve_export"), autoescape=True)
    ms = served_times(work.timings, served_threads(work), work.definition.serve.batch_size)
    drawn = {
        "ms": ms,
        "pareto": pareto(document["variants"], ms, document["summary"]["budget"]),
        "bars": bars(document["sensitivity"], searched_floats(work)),
    }
    template = templates.get_template("report.html.jinja")
    page = template.render(name=stem, definition=work.definition, **document, **drawn)
    (work.store / f"{stem}.report.html").write_text(page, encoding="utf-8")
    work.say(f"      {work.store / stem}.report.html")


STEP = Step("report", ("archive", "sha256", "evidence", "timings"), (), call)
