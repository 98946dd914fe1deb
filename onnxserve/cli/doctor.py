"""`onnxserve doctor`."""

from __future__ import annotations

from dataclasses import asdict

import typer

from onnxserve.doctor import examine

from .app import AsJson, app, out, show
from .server import Config, State, Store, settings_from


@app.command()
def doctor(config: Config = None, store: Store = None, state: State = None, *, as_json: AsJson = False) -> None:
    """Check Java, ports, providers, threads, addresses, archives and who is trusted; 1 if something needs a fix.

    Example: onnxserve doctor --json.
    """
    findings = examine(settings_from(config=config, store=store, state=state))

    def human() -> None:
        for one in findings:
            out.print(f"{'✗' if one.fix else '✓'} {one.check}: {one.found}", markup=False)
            if one.fix:
                out.print(f"    fix: {one.fix}", markup=False)

    show([asdict(one) for one in findings], human, as_json=as_json)
    if any(one.fix for one in findings):
        raise typer.Exit(1)
