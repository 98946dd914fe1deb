"""`onnxserve doctor`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from onnxserve.doctor import MEANINGS, Finding, Repair, examine
from onnxserve.errors import OnnxserveError

from .console import AsJson, console, show
from .groups import root
from .server import Config, State, Store, settings_from
from .table import print_table


@dataclass(frozen=True)
class Consent:
    """How repairs are allowed: `dry_run` names them and makes none, `yes` makes all without a question."""

    yes: bool
    dry_run: bool


def finding_row(finding: Finding) -> tuple[str, str, str]:
    """Return a mark, the check's name, and its result with what it means, the fix and the repair."""
    lines = [finding.result, MEANINGS.get(finding.check, "")]
    lines.append(f"fix: {finding.fix}" if finding.fix else "")
    lines.append(f"`onnxserve doctor --fix` would: {finding.repair.what}" if finding.repair else "")
    return "✗" if finding.fix else "✓", finding.check, "\n".join(filter(None, lines))


def document(finding: Finding) -> dict[str, str]:
    """Return the finding for machines. Until 0.2 `result` was called `found`; both stay for one minor version."""
    return {
        "check": finding.check,
        "result": finding.result,
        "found": finding.result,
        "fix": finding.fix,
        "meaning": MEANINGS[finding.check],
        "repair": finding.repair.what if finding.repair else "",
    }


def make_repairs(findings: Sequence[Finding], consent: Consent) -> None:
    """Make the repairs that are allowed, with a line about each; one that fails doesn't stop the others."""
    repairs = [finding.repair for finding in findings if finding.repair is not None]
    if not repairs:
        console.print("there is nothing that --fix can repair")
    elif not (consent.yes or consent.dry_run or sys.stdin.isatty()):
        what = "--fix asks before each repair, and there is no terminal to answer"
        raise OnnxserveError(what, fix="--yes makes all repairs; --dry-run names them")
    for repair in repairs:
        if consent.dry_run:
            console.print(f"would: {repair.what}", markup=False)
        elif consent.yes or typer.confirm(f"{repair.what}?", err=True):
            make(repair)


def make(repair: Repair) -> None:
    """Make one repair; print what was done, or why it failed."""
    try:
        repair.apply()
    except (OnnxserveError, OSError) as error:
        console.print(f"failed: {repair.what}: {error}", style="red", markup=False)
    else:
        console.print(f"done: {repair.what}", markup=False)


@root.command()
def doctor(  # noqa: PLR0913 - each is a flag
    config: Config = None,
    store: Store = None,
    state: State = None,
    *,
    fix: Annotated[
        bool, typer.Option("--fix", help="Repair what needs no decision, and ask before each step.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --fix: make all repairs without a question.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Name the repairs of --fix and make none.")] = False,
    as_json: AsJson = False,
) -> None:
    """Explain whether this machine is ready to serve, and repair simple faults; exit with 1 if something needs a fix.

    It checks Java, ports, providers, threads, addresses, folders, archives, trust, and what a killed server left.

    Example: onnxserve doctor --fix
    """
    if yes and not fix:
        raise OnnxserveError(
            "--yes answers the questions of --fix, which isn't given", fix="onnxserve doctor --fix --yes"
        )
    with console.status("checking"):
        findings = examine(settings_from(config=config, store=store, state=state))
    if fix or dry_run:
        make_repairs(findings, Consent(yes, dry_run))
    if fix and not dry_run:
        # The settings are resolved again, since a repair may have renamed a file.
        findings = examine(settings_from(config=config, store=store, state=state))
    rows = [finding_row(finding) for finding in findings]
    show(list(map(document, findings)), lambda: print_table(("", "check", "result"), rows), as_json=as_json)
    if any(finding.fix for finding in findings):
        raise typer.Exit(1)
