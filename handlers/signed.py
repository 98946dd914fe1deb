"""Where a public key is configured, nothing loads that its owner didn't sign.

The format is OpenSSF model signing's, https://github.com/sigstore/model-transparency: a Sigstore bundle with a DSSE
envelope (https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md) around an in-toto statement, which lists
the SHA-256 of every file. The worker and `onnxserve.archive` have links to this file; it imports `cryptography` alone,
and only when there is something to verify.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .digests import SIGNATURE, folder_digests

KEY = "ONNXSERVE_PUBLIC_KEY"  # path of a PEM file; not in the archive, which could then vouch for itself
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"


class ArchiveUntrusted(RuntimeError):
    """No signature, or one that doesn't hold."""


def configured_key() -> Path | None:
    """The public key that this machine trusts; None where none is configured."""
    return Path(os.environ[KEY]) if os.environ.get(KEY) else None


def check_signed(signature: bytes | None, key: Path, digests: Mapping[str, str]) -> None:
    """ArchiveUntrusted unless the key's owner signed exactly these files, `digests` being hex SHA-256 by name.

    `signature` is the content of `model.sig`, None where there is none; `digests` may have an entry for that file.
    """
    if signature is None:
        raise ArchiveUntrusted(f"{KEY} is set, but the archive is not signed")
    try:
        signed = signed_digests(signature, key)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArchiveUntrusted(
            f"the signature does not hold: it is damaged ({error or type(error).__name__})"
        ) from error
    present = {name: digest for name, digest in digests.items() if name != SIGNATURE}
    differing = sorted(name for name in signed.keys() | present.keys() if signed.get(name) != present.get(name))
    if differing:
        raise ArchiveUntrusted(f"the signature does not hold for {', '.join(differing[:5])}")


def signed_digests(bundle: bytes, key: Path) -> dict[str, str]:
    """What a bundle says of each file, after its signature was verified; ArchiveUntrusted if it doesn't hold."""
    envelope = json.loads(bundle)["dsseEnvelope"]
    payload, [signature] = base64.b64decode(envelope["payload"], validate=True), envelope["signatures"]
    verify(key, base64.b64decode(signature["sig"], validate=True), encoded(payload))
    statement = json.loads(payload)
    kinds = envelope["payloadType"], statement["_type"], statement["predicateType"]
    if kinds != (PAYLOAD_TYPE, STATEMENT, PREDICATE):
        raise ValueError(f"it is about something else: {kinds}")
    return resources(statement["predicate"])


def resources(predicate: dict[str, Any]) -> dict[str, str]:
    """Digests by name; only whole files by SHA-256 are understood, which is how we sign."""
    how = predicate["serialization"]
    if (how["method"], how["hash_type"]) != ("files", "sha256"):
        raise ValueError(f"files are digested in another way: {how}")
    listed = [(resource["name"], resource["digest"]) for resource in predicate["resources"]]
    if len(dict(listed)) != len(listed):
        raise ValueError("a file is listed twice")
    return dict(listed)


def encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is really signed."""
    return f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload


def verify(key: Path, signature: bytes, content: bytes) -> None:
    """ArchiveUntrusted unless the signature is the key's; ECDSA with the hash that belongs to the curve."""
    try:
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ModuleNotFoundError as error:
        raise ArchiveUntrusted(f"{KEY} is set, but {error.name} is not installed: pip install cryptography") from error
    try:
        public = serialization.load_pem_public_key(key.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise ArchiveUntrusted(f"{KEY} names {key}, which can't be read as a public key: {error}") from error
    algorithms = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name not in algorithms:
        raise ArchiveUntrusted(f"{KEY} names {key}, which is no key of P-256, P-384 or P-521")
    try:
        public.verify(signature, content, ec.ECDSA(algorithms[public.curve.name]))
    except InvalidSignature as error:
        raise ArchiveUntrusted(f"the signature does not hold: it is not one of {key}") from error


def check_signature(folder: Path, *, caches: bool = True) -> bool:
    """Whether a key is configured and an unpacked archive is its owner's; ArchiveUntrusted when it isn't.

    `caches` as for `folder_digests`.
    """
    key = configured_key()
    if key is None:
        return False
    path = folder / SIGNATURE
    check_signed(path.read_bytes() if path.is_file() else None, key, folder_digests(folder, caches=caches))
    return True
