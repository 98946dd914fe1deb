"""`onnxserve verify`."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from onnxserve.archive import check_archive
from onnxserve.errors import CheckFailed

from .app import AsJson, app, console, out, show


@app.command()
def verify(
    archive: Annotated[Path, typer.Argument(help="A .mar file.")],
    public_key: Annotated[
        list[Path] | None,
        typer.Option(help="Demand a signature by this key, or one of several; ONNXSERVE_PUBLIC_KEY by default."),
    ] = None,
    *,
    rerun: Annotated[bool, typer.Option("--rerun", help="Repeat the proof on this machine.")] = False,
    gpu: Annotated[int | None, typer.Option(help="On the GPU of this number.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check digests, signature, golden rows. Example: onnxserve verify model_store/segment-1.0.0.mar --rerun."""
    if gpu is not None:
        os.environ["ONNXSERVE_GPU"] = str(gpu)  # for the archive's own handler, which runs in a process of its own
    checked = check_archive(archive, public_key or None)
    again: Any = None
    if rerun:
        with console.status("repeating the proof"):
            from onnxserve_export.rerun import rerun as repeat

            again = repeat(archive)

    def human() -> None:
        signed = ", the signature" if checked.signed else ""
        out.print(
            f"{checked.name} {checked.version}: {checked.members} digests{signed} "
            f"and {checked.golden_rows} golden rows hold"
        )
        out.print(f"sha256 {checked.sha256}")
        if again is not None:
            out.print(
                f"proof on {again.rows} rows here: score {again.paired.accuracy:.2%} "
                f"(torch {again.paired.reference_accuracy:.2%}), drop at most {again.paired.bound:.2%} "
                f"({again.recorded_bound:.2%} at export, {again.budget:.2%} allowed), "
                f"{again.paired.flips:.2%} of answers differ, batch shift {again.batch_shift:.1e}"
            )

    show(asdict(checked) | ({"rerun": asdict(again)} if again is not None else {}), human, as_json=as_json)
    if again is not None and again.refusal:
        raise CheckFailed(
            "rerun",
            again.refusal,
            "the archive's budget",
            fix="export again on this kind of machine",
            where=str(archive),
        )
