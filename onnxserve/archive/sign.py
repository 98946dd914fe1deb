"""Signing an archive with an EC key, offline; what is signed is the unpacked folder, by OpenSSF model signing.

`model_signing verify key --signature model.sig` on the unpacked folder says the same.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Any

from onnxserve.errors import ArchiveError

from .content import member_digests
from .digests import SIGNATURE
from .library import library, refuse_existing, write_private
from .read import contents, member, open_archive, unpack
from .signed import ArchiveUntrusted, check_signed
from .write import write_archive

CURVE_FIX = "onnxserve keygen signing.pem makes a pair of P-256 keys"


def make_key(path: Path) -> Path:
    """A new private key (readable by its owner only) at `path`; its public key beside it, whose path is given."""
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
    """Whether there is a signature; not whether it holds."""
    with open_archive(path) as archive:
        return SIGNATURE in archive.namelist()


def sign_archive(path: Path, private_key: Path, target: Path | None = None) -> str:
    """Write the archive with its signature to `target`, or in place; the new SHA-256."""
    signing = library("model_signing")
    members, manifest, _ = contents(path)
    with tempfile.TemporaryDirectory() as scratch:
        folder, signature = Path(scratch) / path.stem, Path(scratch) / SIGNATURE
        unpack(path, folder)
        (folder / SIGNATURE).unlink(missing_ok=True)
        config = signing.signing.Config().set_hashing_config(_hashing(signing, folder))
        try:
            config.use_elliptic_key_signer(private_key=private_key).sign(folder, signature)
        except (ValueError, TypeError, OSError) as error:
            raise ArchiveError(f"can't sign: {error}", where=str(private_key), fix=CURVE_FIX) from error
        return write_archive(target or path, members, manifest, signature.read_bytes())


def check_signature(path: Path, *public_keys: Path) -> None:
    """ArchiveError unless the archive is signed by an owner of these keys, whole and with nothing added."""
    with open_archive(path) as archive:
        check_signed_members(archive, member_digests(archive), *public_keys)


def check_signed_members(archive: zipfile.ZipFile, found: dict[str, str], *public_keys: Path) -> None:
    """The same of an archive whose members' digests were `found`."""
    path = Path(str(archive.filename))
    if SIGNATURE not in found:
        raise ArchiveError("the archive is not signed", where=str(path), fix="onnxserve sign ARCHIVE --key signing.pem")
    signature = member(archive, SIGNATURE)
    try:
        check_signed(signature, public_keys, found)
    except ArchiveUntrusted as error:
        keys = ", ".join(map(str, public_keys))
        fix = f"check that the key is the signer's, {keys}; else do not load the archive"
        raise ArchiveError(str(error), where=str(path), fix=fix) from error


def _hashing(signing: Any, folder: Path) -> Any:
    return signing.hashing.Config().set_ignored_paths(paths=[folder / SIGNATURE], ignore_git_paths=False)
