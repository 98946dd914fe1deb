"""`onnxserve archive migrate`, which is `onnxserve migrate` too."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from onnxserve.cli import groups
from onnxserve.cli.console import AsJson, console, out, show, show_lines
from onnxserve.errors import ArchiveError

if TYPE_CHECKING:
    from onnxserve.migrate import Finding, StockArchive

FAILS = "it would not load here; nothing was written"


class Envelope(StrEnum):
    """TorchServe's request envelopes (`ts/torch_handler/request_envelope/`)."""

    body = "body"
    json = "json"
    kserve = "kserve"
    kservev2 = "kservev2"


def lines_of(stock: StockArchive, findings: list[Finding]) -> list[str]:
    """Return the report for a person."""
    width = max(len(finding.verdict) for finding in findings)
    rows = [f"{finding.verdict:<{width}}  {finding.subject}: {finding.text}" for finding in findings]
    return [f"{stock.name} {stock.version}, from {stock.path}", *rows]


def show_converted(stock: StockArchive, models: Path, row: Path | None, *, as_json: bool) -> None:
    """Write the model folder and print what comes next."""
    from onnxserve.migrate import convert

    converted = convert(stock, models, row)
    folder = quote(str(converted.folder))
    show_lines(
        {"folder": str(converted.folder), "version": converted.version},
        f"{converted.folder}: {stock.name} {converted.version}; give labelled rows in model.toml, and it is proven",
        f"then: onnxserve export {folder} --unproven",
        as_json=as_json,
    )


@groups.archive.command()
def migrate(  # noqa: PLR0913 - each is a flag
    archive: Annotated[Path, typer.Argument(help="The TorchServe archive: a .mar, a .tar.gz or a folder.")],
    store: Annotated[Path, typer.Option("--out", help="The model store, a folder, that gets the new archive.")] = Path(
        "model_store"
    ),
    envelope: Annotated[
        Envelope | None, typer.Option(help="The old server's `service_envelope`, if its config.properties has one.")
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option("--convert", help="Write a model folder for `onnxserve export` into this folder, not an archive."),
    ] = None,
    row: Annotated[
        Path | None, typer.Option(help="With --convert: an example that clients send, a picture or a JSON file.")
    ] = None,
    *,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would run; write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take over an archive of TorchServe: say what runs unchanged, and write it to the store as unproven.

    Example: onnxserve archive migrate old/resnet.mar
    """
    from onnxserve.migrate import read_stock, report, wrap  # it imports numpy, which most commands do without

    with console.status("reading the archive"):
        stock = read_stock(archive, envelope.value if envelope else "")
        findings = report(stock)
    failing = any(finding.verdict == "fails" for finding in findings)
    if models is not None:
        show_converted(stock, models, row, as_json=as_json)
        return
    written = None if plan or failing else wrap(stock, store)
    document = {"model": stock.name, "version": stock.version, "findings": [asdict(finding) for finding in findings]}

    def human() -> None:
        out.print("\n".join(lines_of(stock, findings)), markup=False)
        if written is not None:
            out.print(f"{written[0]}  sha256 {written[1]}", markup=False)
            out.print(f"then: onnxserve serve, or onnxserve release register {quote(str(written[0]))}", markup=False)

    archive_fields = {} if written is None else {"archive": str(written[0]), "sha256": written[1]}
    show(document | archive_fields, human, as_json=as_json)
    if failing and not plan:
        raise ArchiveError(FAILS, where=str(archive), fix="mend what the lines with `fails` name")
