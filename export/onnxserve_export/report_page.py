"""The report of an export as one page of HTML, which needs no network and no script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from onnxserve.archive.evidence import describe_proof

from . import figures
from .plots import loss_plot, milliseconds, sensitivity_bars, source_of, speed_plot
from .variants import SEARCHED
from .verdict import verdict

# What an older archive's evidence may lack, and the evidence inside every archive: times, and the archive's own digest.
ABSENT: Mapping[str, Any] = {
    "archive": None,
    "certify": {"earlier": [], "tests": []},
    "data": None,
    "environment": {},
    "findings": [],
    "parity": [],
    "ranges": [],
    "refused": {},
    "sensitivity": None,
    "served": None,
    "sources": [],
    "timings": [],
    "variants": [],
}
FILTERS = (figures.points, figures.percent, figures.duration, figures.size, figures.small, figures.times)


def render(name: str, evidence: Mapping[str, Any]) -> str:
    """Return the page; `evidence` is what an export wrote beside its archive, or what the archive holds."""
    document = {**ABSENT, **evidence}
    summary, setting = document["summary"], document["served"]
    templates = Environment(loader=PackageLoader("onnxserve_export"), autoescape=True, undefined=StrictUndefined)
    templates.filters.update({function.__name__: function for function in FILTERS})
    drawn = {
        "name": name,
        "verdict": verdict(document),
        "claims": describe_proof(summary),
        "reference": source_of(summary),
        "losses": loss_plot(document["variants"], summary),
        "speeds": speed_plot(document),
        "ms": milliseconds(document, setting["batch"]) if setting else {},
        "bars": sensitivity_bars(document["sensitivity"], searched_floats(document)),
    }
    return templates.get_template("report.html.jinja").render({**document, **drawn})


def searched_floats(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the nodes that the searched variant leaves in float."""
    return next((tuple(each["excluded"]) for each in document["variants"] if each["variant"] == SEARCHED), ())
