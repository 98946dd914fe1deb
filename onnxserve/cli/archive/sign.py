"""`onnxserve archive keygen`, `sign`, `seal` and `revoke`."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from onnxserve.archive import make_identity, make_key, seal_archive, sign_archive
from onnxserve.archive.revoke import revoke as revoke_file
from onnxserve.cli import groups
from onnxserve.cli.console import AsJson, show_lines
from onnxserve.errors import ArchiveError
from onnxserve_handlers.trust.signing import REVOKED

Archive = Annotated[Path, typer.Argument(help="The archive, a .mar file; it is changed in place without --output.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write the new archive here instead.")]


@groups.archive.command()
def keygen(
    path: Annotated[Path, typer.Argument(help="The file for the private key; the public one is put beside it.")],
    *,
    encryption: Annotated[
        bool, typer.Option("--encryption", help="Make an age identity for `archive seal`, not a signing key.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a key pair for signing or for encryption.

    Example: onnxserve archive keygen keys/signing.pem
    """
    if encryption:
        recipient = make_identity(path)
        lines = (f"private: {path} (workers: ONNXSERVE_IDENTITY={quote(str(path))})", f"recipient: {recipient}")
        show_lines({"private": str(path), "recipient": recipient}, *lines, as_json=as_json)
    else:
        public = str(make_key(path))
        lines = (f"private: {path}", f"public: {public} (servers: ONNXSERVE_PUBLIC_KEY={quote(public)})")
        show_lines({"private": str(path), "public": public}, *lines, as_json=as_json)


@groups.archive.command()
def sign(
    archive: Archive,
    key: Annotated[Path, typer.Option(help="The private key: EC P-256, PEM.")],
    output: Output = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Sign an archive.

    Example: onnxserve archive sign model_store/segment-1.0.0.mar --key keys/signing.pem
    """
    _show_written(output or archive, sign_archive(archive, key, output), as_json=as_json)


@groups.archive.command()
def seal(
    archive: Archive,
    to: Annotated[str, typer.Option(help="The recipient's public age key, age1….")],
    output: Output = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Encrypt an archive's graph and proof rows; sign it afterwards.

    Example: onnxserve archive seal model_store/segment-1.0.0.mar --to age1…
    """
    _show_written(output or archive, seal_archive(archive, to, output), as_json=as_json)


@groups.archive.command()
def revoke(
    path: Annotated[Path, typer.Argument(help="A public key (.pub) or an archive (.mar).")],
    reason: Annotated[str, typer.Option(help="The reason, which every refusal repeats.")] = "",
    target: Annotated[
        Path | None, typer.Option("--list", help=f"The revocation list, a file; default: {REVOKED}.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Revoke an archive, or everything that a key signed: no worker loads it any more.

    Example: onnxserve archive revoke old.pub --reason "laptop lost"
    """
    lists = (Path(name) for name in os.environ.get(REVOKED, "").split(os.pathsep) if name)
    revocations = target or next(lists, None)
    if revocations is None:
        fix = f"set {REVOKED} to a file, for the server too, or name one with --list"
        raise ArchiveError("no list of revocations is named", where=REVOKED, fix=fix)
    line = revoke_file(path, revocations, reason)
    show_lines({"list": str(revocations), "line": line}, f"{revocations}: {line}", as_json=as_json)


def _show_written(path: Path, sha256: str, *, as_json: bool) -> None:
    show_lines({"archive": str(path), "sha256": sha256}, f"{path}  sha256 {sha256}", as_json=as_json)
