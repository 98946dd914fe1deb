"""Signing an archive with an EC key, offline; what is signed is the unpacked folder, by OpenSSF model signing.

`model_signing verify key --signature model.sig` on the unpacked folder says the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnxserve.errors import ArchiveError
from onnxserve.scratch import Scratch
from onnxserve_handlers.trust.digests import SIGNING_FILE

from .library import library, refuse_existing, write_private
from .read import open_archive, unpack
from .verification import trusted_contents
from .write import write_archive

CURVE_FIX = "onnxserve archive keygen signing.pem makes a pair of P-256 keys"


def make_key(path: Path) -> Path:
    """Write a new private key, readable by its owner only, and its public key beside it; return the latter's path."""
    library("cryptography")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    public_path = path.with_suffix(".pub")
    refuse_existing(path, public_path)
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    write_private(path, private)
    public_path.write_bytes(public)
    return public_path


def is_signed(path: Path) -> bool:
    """Return whether there is a signature; it is not checked."""
    with open_archive(path) as archive:
        return SIGNING_FILE in archive.namelist()


def sign_archive(path: Path, private_key: Path, target: Path | None = None) -> str:
    """Write the archive with its signature to `target`, or in place; return the new SHA-256.

    ArchiveError for an archive that isn't what it records, or whose signature doesn't hold for the configured keys.
    """
    signing = library("model_signing")
    members, manifest = trusted_contents(path, unsigned=True)
    with Scratch() as scratch:
        folder, signature = scratch / path.stem, scratch / SIGNING_FILE
        unpack(path, folder)
        (folder / SIGNING_FILE).unlink(missing_ok=True)
        config = signing.signing.Config().set_hashing_config(_hashing_config(signing, folder))
        try:
            config.use_elliptic_key_signer(private_key=private_key).sign(folder, signature)
        except (ValueError, TypeError, OSError) as error:
            raise ArchiveError(f"can't sign: {error}", where=str(private_key), fix=CURVE_FIX) from error
        return write_archive(target or path, members, manifest, signature.read_bytes())


def _hashing_config(signing: Any, folder: Path) -> Any:
    return signing.hashing.Config().set_ignored_paths(paths=[folder / SIGNING_FILE], ignore_git_paths=False)
