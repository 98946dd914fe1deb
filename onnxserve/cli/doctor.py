"""`onnxserve doctor`."""

from __future__ import annotations

from dataclasses import asdict

import typer

from onnxserve.doctor import Finding, examine

from .console import AsJson, console, show
from .groups import root
from .server import Config, State, Store, settings_from
from .table import print_table


def finding_row(finding: Finding) -> tuple[str, str, str]:
    """Return a mark, the check's name, and its result with the fix."""
    fix = f"\nfix: {finding.fix}" if finding.fix else ""
    return "✗" if finding.fix else "✓", finding.check, finding.result + fix


@root.command()
def doctor(config: Config = None, store: Store = None, state: State = None, *, as_json: AsJson = False) -> None:
    """Check Java, ports, providers, threads, addresses, archives and trust; exit with 1 if something needs a fix.

    Example: onnxserve doctor --json
    """
    with console.status("checking"):
        findings = examine(settings_from(config=config, store=store, state=state))
    rows = [finding_row(finding) for finding in findings]
    # Until 0.2 `result` was called `found`; both names are there for one minor version.
    documents = [{**asdict(finding), "found": finding.result} for finding in findings]
    show(documents, lambda: print_table(("", "check", "result"), rows), as_json=as_json)
    if any(finding.fix for finding in findings):
        raise typer.Exit(1)
