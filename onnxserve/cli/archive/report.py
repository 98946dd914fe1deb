"""`onnxserve archive report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import jinja2
import typer

from onnxserve.archive import Summary, summarise
from onnxserve.archive.explanation import read_timed_evidence
from onnxserve.cli import groups
from onnxserve.cli.console import AsJson, console, out, show
from onnxserve.errors import ArchiveError

MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, jinja2.TemplateError)

# What the file beside an archive may add to a report: it isn't signed, so it isn't asked for anything that was proven.
OF_THE_MACHINE = ("timings", "served")


def identity(summary: Summary) -> dict[str, Any]:
    """Return the name, the digest and the size of an archive, as reports show them."""
    return {"file": summary.path.name, "sha256": summary.sha256, "bytes": summary.path.stat().st_size}


@groups.archive.command()
def report(
    archive: Annotated[Path, typer.Argument(help="The archive, a .mar file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write, HTML.")] = Path("report.html"),
    *,
    as_json: AsJson = False,
) -> None:
    """Write the report of an archive's proof anew, with times if the export's .evidence.json lies beside it.

    Example: onnxserve archive report model_store/digits-1.0.0.mar -o digits.html
    """
    from onnxserve_export.report_page import render

    summary = summarise(archive)
    if output.exists() and output.samefile(archive):
        raise ArchiveError("the report would replace the archive", where=str(output), fix="name another file with -o")
    try:
        timed = read_timed_evidence(summary)
        document = timed.document or {}
        times = {name: document[name] for name in OF_THE_MACHINE if name in document}
        page = render(f"{summary.name}-{summary.version}", {**summary.evidence, **times, "archive": identity(summary)})
    except MALFORMED as error:
        raise ArchiveError(
            f"its evidence isn't as an export writes it: {type(error).__name__} {error}",
            where=str(archive),
            fix="export the model again",
        ) from error
    output.write_text(page, encoding="utf-8")
    if timed.reason:
        console.print(timed.reason, markup=False)
    show(
        {"report": str(output), "timed": bool(times)},
        lambda: out.print(str(output), markup=False),
        as_json=as_json,
    )
