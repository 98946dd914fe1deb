"""`onnxserve archive report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import jinja2
import typer

from onnxserve.archive import summarise
from onnxserve.archive.explanation import read_timed_evidence
from onnxserve.cli import groups
from onnxserve.cli.console import AsJson, out, show
from onnxserve.errors import ArchiveError

MALFORMED = (KeyError, TypeError, ValueError, AttributeError, jinja2.TemplateError)


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
    try:
        timed = read_timed_evidence(summary)
        page = render(f"{summary.name}-{summary.version}", timed or summary.evidence)
    except MALFORMED as error:
        raise ArchiveError(
            f"its evidence isn't as an export writes it: {type(error).__name__} {error}",
            where=str(archive),
            fix="export the model again",
        ) from error
    output.write_text(page, encoding="utf-8")
    show(
        {"report": str(output), "timed": timed is not None},
        lambda: out.print(str(output), markup=False),
        as_json=as_json,
    )
