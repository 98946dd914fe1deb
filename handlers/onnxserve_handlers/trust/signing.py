"""Where public keys are configured, nothing loads that no owner of theirs signed; what is revoked loads nowhere.

The format is OpenSSF model signing's, https://github.com/sigstore/model-transparency: a Sigstore bundle with a DSSE
envelope (https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md) around an in-toto statement, which lists
the SHA-256 of every file. The worker and `onnxserve.archive` import this module; it imports `cryptography` alone,
and only when there is something to verify.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .digests import SIGNATURE, content_digest, folder_digests
from .revocation import ArchiveUntrusted, is_configured, read_revoked

__all__ = ["KEY", "ArchiveUntrusted", "check_signature", "check_signed", "check_trusted", "configured_keys"]
KEY = "ONNXSERVE_PUBLIC_KEY"  # paths of PEM files or folders; not in the archive, which could then vouch for itself
SUFFIXES = (".pub", ".pem")  # of keys in a folder
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"


class Signer(NamedTuple):
    """A public key: its file, and the SHA-256 of its SubjectPublicKeyInfo, by which it is revoked."""

    path: Path
    digest: str


def configured_keys() -> tuple[Path, ...]:
    """The public keys that this machine trusts; none where none is configured.

    Paths are parted by `:`; a folder stands for the keys in it now. ArchiveUntrusted if there is none where some are
    wanted: without a key everything would be trusted.
    """
    text = os.environ.get(KEY, "")
    named = [Path(path) for path in text.split(os.pathsep) if path]
    keys = tuple(key for path in named for key in (_keys_in(path) if path.is_dir() else [path]))
    if text and not keys:  # also for `:`, as two empty variables make it
        raise ArchiveUntrusted(f"{KEY} is {text!r}, where no public key (*.pub, *.pem) lies")
    return keys


def _keys_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)


def check_trusted(signature: bytes | None, keys: Sequence[Path], digests: Mapping[str, str]) -> Path | None:
    """The one judgement of every place that loads archives: the key whose owner signed it, None where `keys` is empty.

    `digests` are hex SHA-256 by name of all files, `signature` the content of `model.sig`. ArchiveUntrusted for what is
    revoked and, with keys, for what none of their owners signed.
    """
    revoked = read_revoked()
    revoked.check_archive(content_digest(digests))
    if not keys:
        return None
    signer = check_signed(signature, keys, digests)
    revoked.check_key(signer.digest, str(signer.path))
    return signer.path


def check_signed(signature: bytes | None, keys: Sequence[Path], digests: Mapping[str, str]) -> Signer:
    """The key whose owner signed exactly these files, `digests` being hex SHA-256 by name; else ArchiveUntrusted.

    `signature` is the content of `model.sig`, None where there is none; `digests` may have an entry for that file.
    """
    if signature is None:
        raise ArchiveUntrusted(f"{KEY} is set, but the archive is not signed")
    try:
        key, signed = signed_digests(signature, keys)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArchiveUntrusted(f"the signature does not hold: it is damaged ({error!r})") from error
    present = {name: digest for name, digest in digests.items() if name != SIGNATURE}
    differing = sorted(name for name in signed.keys() | present.keys() if signed.get(name) != present.get(name))
    if differing:
        raise ArchiveUntrusted(f"the signature does not hold for {', '.join(differing[:5])}")
    return key


def signed_digests(bundle: bytes, keys: Sequence[Path]) -> tuple[Signer, dict[str, str]]:
    """Whose signature a bundle has, and what it says of each file; ArchiveUntrusted if it is nobody's."""
    envelope = json.loads(bundle)["dsseEnvelope"]
    payload, [signature] = base64.b64decode(envelope["payload"], validate=True), envelope["signatures"]
    key = signer_of(keys, base64.b64decode(signature["sig"], validate=True), encoded(payload))
    statement = json.loads(payload)
    kinds = envelope["payloadType"], statement["_type"], statement["predicateType"]
    if kinds != (PAYLOAD_TYPE, STATEMENT, PREDICATE):
        raise ValueError(f"it is about something else: {kinds}")
    return key, resources(statement["predicate"])


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


def signer_of(keys: Sequence[Path], signature: bytes, content: bytes) -> Signer:
    """The key that made the signature; ArchiveUntrusted if none did. ECDSA with the hash that belongs to the curve."""
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
            raise ArchiveUntrusted(f"{KEY} names {key}, which is no key of P-256, P-384 or P-521")
        with contextlib.suppress(InvalidSignature):
            public.verify(signature, content, ec.ECDSA(algorithms[public.curve.name]))
            return Signer(key, public_digest(public))
    raise ArchiveUntrusted(f"the signature does not hold: it is not one of {', '.join(map(str, keys))}")


def public_digest(public: Any) -> str:
    """Of a public key: the SHA-256 of its SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7) in DER."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def check_signature(folder: Path, *, caches: bool = True) -> Path | None:
    """`check_trusted` of an unpacked archive by the configured keys; `caches` as for `folder_digests`."""
    keys = configured_keys()
    if not keys and not is_configured():
        return None
    path = folder / SIGNATURE
    return check_trusted(path.read_bytes() if path.is_file() else None, keys, folder_digests(folder, caches=caches))
