"""Encryption at rest: the graph and the proof for holders of an age identity (https://age-encryption.org/v1)."""

from __future__ import annotations

from pathlib import Path

from onnxserve.errors import ArchiveError

from .library import library, refuse_existing, write_private
from .verification import trusted_contents
from .write import write_archive

PROOF = "proof.jsonl"


def make_identity(path: Path) -> str:
    """Write a new identity, readable by its owner only; return its recipient, the public key."""
    refuse_existing(path)
    identity = library("pyrage").x25519.Identity.generate()
    write_private(path, f"{identity}\n".encode())
    return str(identity.to_public())


def decrypt_member(content: bytes) -> bytes:
    """Decrypt with the identity that workers use; ArchiveError without it."""
    # Here, since it imports numpy, and most commands that import this package seal and decrypt nothing.
    from onnxserve_handlers.trust.model import IDENTITY, ArchiveEncrypted, decrypt

    try:
        return decrypt(content, PROOF)
    except ArchiveEncrypted as error:
        raise ArchiveError(str(error), where=IDENTITY) from error


def seal_archive(path: Path, recipient: str, target: Path | None = None) -> str:
    """Write the archive with its graph and proof encrypted to `target`, or in place; return the new SHA-256.

    A signature is dropped: sign after sealing. ArchiveError for an archive that isn't trusted (`trusted_contents`).
    """
    from onnxserve_handlers.trust.model import MODEL, SUFFIX, WEIGHTS

    pyrage = library("pyrage")
    try:
        to = [pyrage.x25519.Recipient.from_str(recipient)]
    except Exception as error:  # pyrage's error has no public base
        raise ArchiveError(f"not a recipient: {error}", where=recipient[:80], fix="it begins with age1") from error
    members, manifest = trusted_contents(path)
    if large := [name for name in members if name.startswith(WEIGHTS)]:
        raise ArchiveError(
            "a graph with weights in a file of their own can't be sealed: workers map them into memory as they are",
            where=f"{path}, {large[0]}",
            fix="serve it from an encrypted disk, or choose a smaller variant",
        )
    plain = [name for name in (MODEL, PROOF) if name in members]
    if not plain:
        raise ArchiveError("nothing to seal: the archive is sealed already", where=str(path))
    for name in plain:
        members[name + SUFFIX] = pyrage.encrypt(members.pop(name), to)
    return write_archive(target or path, members, manifest)
