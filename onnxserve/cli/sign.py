"""`onnxserve keygen`, `onnxserve sign`, `onnxserve seal`, `onnxserve revoke`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from onnxserve.archive import make_identity, make_key, seal_archive, sign_archive
from onnxserve.archive.revoke import revoke as revoke_file
from onnxserve.errors import ArchiveError
from onnxserve_handlers.trust.signing import REVOKED

from .app import AsJson, app, out, show

Archive = Annotated[Path, typer.Argument(help="A .mar file; changed in place unless --output is given.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write here instead.")]


@app.command()
def keygen(
    path: Annotated[Path, typer.Argument(help="Where the private part goes.")],
    *,
    encryption: Annotated[bool, typer.Option("--encryption", help="An age identity, for `seal`.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a key pair for signing, or for encryption. Example: onnxserve keygen keys/signing.pem."""
    public = make_identity(path) if encryption else str(make_key(path))

    def human() -> None:
        if encryption:
            out.print(f"private: {path} (workers: ONNXSERVE_IDENTITY={path})\nrecipient: {public}", markup=False)
        else:
            out.print(f"private: {path}\npublic: {public} (servers: ONNXSERVE_PUBLIC_KEY={public})", markup=False)

    show({"private": str(path), "recipient" if encryption else "public": public}, human, as_json=as_json)


@app.command()
def sign(
    archive: Archive,
    key: Annotated[Path, typer.Option(help="A private EC key, PEM.")],
    output: Output = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Sign an archive. Example: onnxserve sign model_store/segment-1.0.0.mar --key keys/signing.pem."""
    sha256 = sign_archive(archive, key, output)
    _written(output or archive, sha256, as_json=as_json)


@app.command()
def seal(
    archive: Archive,
    to: Annotated[str, typer.Option(help="An age recipient, age1….")],
    output: Output = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Encrypt an archive's graph and proof rows; sign afterwards. Example: onnxserve seal x.mar --to age1…."""
    sha256 = seal_archive(archive, to, output)
    _written(output or archive, sha256, as_json=as_json)


@app.command()
def revoke(
    path: Annotated[Path, typer.Argument(help="A public key (.pub), or an archive (.mar).")],
    reason: Annotated[str, typer.Option(help="Why; whoever is refused reads it.")] = "",
    target: Annotated[Path | None, typer.Option("--list", help=f"The list; {REVOKED} by default.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Let an archive, or what a key signed, load nowhere. Example: onnxserve revoke old.pub --reason "laptop lost"."""
    named = target or next((Path(name) for name in os.environ.get(REVOKED, "").split(os.pathsep) if name), None)
    if named is None:
        fix = f"set {REVOKED} to a file, for the server too, or name one with --list"
        raise ArchiveError("no list of revocations is named", where=REVOKED, fix=fix)
    line = revoke_file(path, named, reason)
    show({"list": str(named), "line": line}, lambda: out.print(f"{named}: {line}", markup=False), as_json=as_json)


def _written(path: Path, sha256: str, *, as_json: bool) -> None:
    show({"archive": str(path), "sha256": sha256}, lambda: out.print(f"{path}  sha256 {sha256}"), as_json=as_json)
