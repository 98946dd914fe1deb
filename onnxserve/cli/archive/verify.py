"""`onnxserve archive verify`."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from onnxserve.archive import check_archive
from onnxserve.cli import groups
from onnxserve.cli.console import AsJson, console, out, show


def describe_bound(bound: float | None) -> str:
    """Describe the bound of the export."""
    return "without a bound at export" if bound is None else f"{bound:.2%} at export"


@groups.archive.command()
def verify(
    archive: Annotated[Path, typer.Argument(help="The archive, a .mar file.")],
    public_key: Annotated[
        list[Path] | None,
        typer.Option(
            help="Demand a signature by this public key; repeat it to allow several. Default: ONNXSERVE_PUBLIC_KEY."
        ),
    ] = None,
    *,
    rerun: Annotated[bool, typer.Option("--rerun", help="Repeat the proof of the export on this machine.")] = False,
    gpu: Annotated[
        int | None, typer.Option(min=0, help="Number of the GPU to run on, from 0; default: the CPU.")
    ] = None,
    provider: Annotated[
        str, typer.Option(help="Execution provider of ONNX Runtime, such as openvino; default: the CPU's.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Check the digests, the signature and the golden rows of an archive.

    Example: onnxserve archive verify model_store/segment-1.0.0.mar --rerun
    """
    # For the archive's own handler, which runs in a process of its own.
    if gpu is not None:
        os.environ["ONNXSERVE_GPU"] = str(gpu)
    if provider:
        os.environ["ONNXSERVE_PROVIDER"] = provider
    with console.status("checking digests and golden rows"):
        checked = check_archive(archive, public_key or None)
    proof: Any = None
    if rerun:
        from onnxserve_export.rerun import check_rerun
        from onnxserve_export.rerun import rerun as repeat

        with console.status("repeating the proof"):
            proof = repeat(archive)

    def human() -> None:
        signed = ", the signature" if checked.signed else ""
        out.print(
            f"{checked.name} {checked.version}: {checked.members} digests{signed} "
            f"and {checked.golden_rows} golden rows hold"
        )
        out.print(f"sha256 {checked.sha256}")
        if proof is not None:
            out.print(
                f"{proof.proof}, repeated on {proof.rows} rows here: {proof.loss}; lost at most "
                f"{proof.paired.bound:.2%} here, {describe_bound(proof.recorded_bound)}, {proof.budget:.2%} allowed; "
                f"batch shift {proof.batch_shift:.1e}"
            )

    show(asdict(checked) | ({"rerun": asdict(proof)} if proof is not None else {}), human, as_json=as_json)
    if proof is not None:
        check_rerun(proof, archive)
