"""Who vouches for an archive: signing by keys that this machine trusts, and lists of what is revoked.

With public keys configured, only archives that an owner of these keys signed are loaded. Revoked keys and archives are
refused whoever signed them. The worker and `onnxserve.archive` import this module too. It imports `cryptography`, and
only when there is something to verify.

The format is OpenSSF model signing's, https://github.com/sigstore/model-transparency: a Sigstore bundle with a DSSE
envelope (https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md) around an in-toto statement, which lists
the SHA-256 of every file.

A list of revocations is a text file:

    key 3f2a...   a laptop was lost
    archive 9c1d...   it was trained on rows that had to go

It names a key by the SHA-256 of its public part (SubjectPublicKeyInfo, DER), and an archive by that of its content. The
files are read at each load. A file that can't be read revokes everything, since nobody knows what it would say.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .digests import SIGNING_FILE, content_digest, folder_digests

KEY = "ONNXSERVE_PUBLIC_KEY"  # paths of PEM files or folders; an archive that held its own key would vouch for itself
REVOKED = "ONNXSERVE_REVOKED"
SUFFIXES = (".pub", ".pem")  # of keys in a folder
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
REVOCATION = re.compile(r"(key|archive)\s+([0-9a-f]{64})(?:\s+(\S.*))?")
COMMENT = "#"


class ArchiveUntrusted(RuntimeError):
    """Nobody whom this machine trusts vouches for the archive, or the archive or its key is revoked."""


class Signer(NamedTuple):
    """A public key: its file, and the SHA-256 of its SubjectPublicKeyInfo, by which a list revokes it."""

    path: Path
    digest: str


def configured_keys() -> tuple[Path, ...]:
    """Return the public keys that this machine trusts, none if none are configured.

    The variable holds paths with `:` between them; a folder stands for the keys that it holds now. Raises
    ArchiveUntrusted if the variable is set and yields no key: without a key every archive would be trusted.
    """
    text = os.environ.get(KEY, "")
    paths = [Path(path) for path in text.split(os.pathsep) if path]
    keys = tuple(key for path in paths for key in (_keys_in(path) if path.is_dir() else [path]))
    if text and not keys:  # also for `:`, the result of two empty variables
        raise ArchiveUntrusted(f"{KEY} is {text!r}, which has no public key (*.pub, *.pem)")
    return keys


def _keys_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)


def check_signing(folder: Path, *, caches: bool = True) -> Path | None:
    """Check an unpacked archive with `check_trusted` and the configured keys; `caches` as for `folder_digests`."""
    keys = configured_keys()
    if not keys and not has_revocations():
        return None
    path = folder / SIGNING_FILE
    return check_trusted(path.read_bytes() if path.is_file() else None, keys, folder_digests(folder, caches=caches))


def check_trusted(bundle: bytes | None, keys: Sequence[Path], digests: Mapping[str, str]) -> Path | None:
    """Decide whether an archive may be loaded, and return the key whose owner signed it, None where `keys` is empty.

    Every place that loads archives calls this. `digests` are the hex SHA-256 of all files by name, `bundle` is the
    content of `model.sig`. Raises ArchiveUntrusted for a revoked key or archive and, with keys, for an archive that
    none of their owners signed.
    """
    revocations = read_revocations()
    revocations.check_archive(content_digest(digests))
    if not keys:
        return None
    signer = check_signed(bundle, keys, digests)
    revocations.check_key(signer.digest, str(signer.path))
    return signer.path


def check_signed(bundle: bytes | None, keys: Sequence[Path], digests: Mapping[str, str]) -> Signer:
    """Return the key whose owner signed exactly these files; raises ArchiveUntrusted if there is none.

    `digests` are hex SHA-256 by name and may include `model.sig` itself; `bundle` is that file's content, None where it
    is missing.
    """
    if bundle is None:
        raise ArchiveUntrusted(f"{KEY} is set, but the archive is not signed")
    try:
        key, signed = read_bundle(bundle, keys)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArchiveUntrusted(f"the signing is invalid: it is damaged ({error!r})") from error
    present = {name: digest for name, digest in digests.items() if name != SIGNING_FILE}
    differing = sorted(name for name in signed.keys() | present.keys() if signed.get(name) != present.get(name))
    if differing:
        raise ArchiveUntrusted(f"the signing is invalid for {', '.join(differing[:5])}")
    return key


def read_bundle(bundle: bytes, keys: Sequence[Path]) -> tuple[Signer, dict[str, str]]:
    """Return who signed a bundle, and the hex SHA-256 of each file that it lists.

    Raises ArchiveUntrusted if none of `keys` signed it, and ValueError, KeyError or TypeError if it is malformed.
    """
    envelope = json.loads(bundle)["dsseEnvelope"]
    payload, [signing] = base64.b64decode(envelope["payload"], validate=True), envelope["signatures"]
    key = signer_of(keys, base64.b64decode(signing["sig"], validate=True), pre_authentication_encoding(payload))
    statement = json.loads(payload)
    kinds = envelope["payloadType"], statement["_type"], statement["predicateType"]
    if kinds != (PAYLOAD_TYPE, STATEMENT, PREDICATE):
        raise ValueError(f"it is about something else: {kinds}")
    return key, listed_digests(statement["predicate"])


def listed_digests(predicate: dict[str, Any]) -> dict[str, str]:
    """Return digests by file name; only whole files with SHA-256 are accepted, since our signing makes these."""
    serialization = predicate["serialization"]
    if (serialization["method"], serialization["hash_type"]) != ("files", "sha256"):
        raise ValueError(f"files are digested in another way: {serialization}")
    listed = [(resource["name"], resource["digest"]) for resource in predicate["resources"]]
    if len(dict(listed)) != len(listed):
        raise ValueError("a file is listed twice")
    return dict(listed)


def pre_authentication_encoding(payload: bytes) -> bytes:
    """Return the bytes that DSSE signs for a payload (protocol.md, "Signature Definition")."""
    return f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload


def signer_of(keys: Sequence[Path], signing: bytes, content: bytes) -> Signer:
    """Return the key that signed `content`; raises ArchiveUntrusted if none did.

    The algorithm is ECDSA with the hash that belongs to the key's curve.
    """
    try:
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ModuleNotFoundError as error:
        raise ArchiveUntrusted(f"{KEY} is set, but {error.name} is not installed: pip install cryptography") from error
    algorithms = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}
    for key in keys:
        try:
            public = serialization.load_pem_public_key(key.read_bytes())
        except (OSError, ValueError, UnsupportedAlgorithm) as error:
            raise ArchiveUntrusted(f"{KEY} names {key}, which can't be read as a public key: {error}") from error
        if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name not in algorithms:
            raise ArchiveUntrusted(f"{KEY} names {key}, which isn't a key of P-256, P-384 or P-521")
        with contextlib.suppress(InvalidSignature):
            public.verify(signing, content, ec.ECDSA(algorithms[public.curve.name]))
            return Signer(key, public_digest(public))
    raise ArchiveUntrusted(f"the signing is invalid: it is not by any of {', '.join(map(str, keys))}")


def public_digest(public: Any) -> str:
    """Return the hex SHA-256 of a public key's SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7) in DER."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


class Revocations(NamedTuple):
    """Why each key and archive is revoked, by SHA-256; a reason is empty where the list gives none."""

    keys: dict[str, str]
    archives: dict[str, str]

    def check_key(self, digest: str, name: str) -> None:
        """Raise ArchiveUntrusted if the key is revoked."""
        if digest in self.keys:
            raise ArchiveUntrusted(f"the key that signed it, {name}, is revoked" + append_reason(self.keys[digest]))

    def check_archive(self, digest: str) -> None:
        """Raise ArchiveUntrusted if the archive is revoked; `digest` is that of its content."""
        if digest in self.archives:
            raise ArchiveUntrusted("the archive is revoked" + append_reason(self.archives[digest]))


def append_reason(reason: str) -> str:
    """Return the end of a message that gives the reason, empty without one."""
    return f": {reason}" if reason else ""


def has_revocations() -> bool:
    """Return whether a list of revocations is configured."""
    return bool(os.environ.get(REVOKED))


def read_revocations() -> Revocations:
    """Read the files that the variable names, with `:` between their paths; nothing is revoked where it is empty.

    Raises ArchiveUntrusted for a missing file, a malformed line, and a variable that is set and names no file.
    """
    revocations, text = Revocations({}, {}), os.environ.get(REVOKED, "")
    names = [name for name in text.split(os.pathsep) if name]
    if text and not names:  # `:`, the result of two empty variables
        raise ArchiveUntrusted(f"{REVOKED} is {text!r}, which names no file")
    for name in names:
        for kind, digest, reason in _revocation_lines(Path(name)):
            (revocations.keys if kind == "key" else revocations.archives)[digest] = reason
    return revocations


def _revocation_lines(path: Path) -> Iterator[tuple[str, str, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArchiveUntrusted(f"{REVOKED} names {path}, which can't be read: {error}") from error
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith(COMMENT):
            continue
        entry = REVOCATION.fullmatch(line)
        if entry is None:
            expected = "`key SHA-256 why` or `archive SHA-256 why` is expected"
            raise ArchiveUntrusted(f"{REVOKED} names {path}, whose line {number} can't be read: {expected}")
        yield entry[1], entry[2], entry[3] or ""
