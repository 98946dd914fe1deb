"""When certificates expire: the one field that is read of them (RFC 5280, section 4.1)."""

from __future__ import annotations

import datetime as dt
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

BLOCK = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
SEQUENCE, UTC_TIME = 0x30, 0x17
FORMATS = {UTC_TIME: "%y%m%d%H%M%S%z", 0x18: "%Y%m%d%H%M%S%z"}  # UTCTime until 2049, GeneralizedTime from 2050


def expiry(path: Path) -> float:
    """When the first of a PEM file's certificates expires, in seconds since 1970; ValueError if that can't be read."""
    blocks = BLOCK.findall(path.read_text(encoding="ascii", errors="replace"))
    if not blocks:
        raise ValueError(f"{path} has no certificate")
    return min(not_after(ssl.PEM_cert_to_DER_cert(block)) for block in blocks)


def not_after(der: bytes) -> float:
    """Of one certificate; ValueError if it is none."""
    try:
        [(_, certificate)] = elements(der)
        _, to_be_signed = next(elements(certificate))
        # Version (which version 1 leaves out), serial number, algorithm, issuer: the next sequence is the validity.
        sequences = (content for tag, content in elements(to_be_signed) if tag == SEQUENCE)
        _algorithm, _issuer, validity = next(sequences), next(sequences), next(sequences)
        [_, (tag, time)] = elements(validity)
        return dt.datetime.strptime(time.decode("ascii"), FORMATS[tag]).timestamp()  # noqa: DTZ007 - %z
    except (IndexError, KeyError, StopIteration) as error:
        raise ValueError("not an X.509 certificate") from error


def elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tags and contents of DER, one after the other (X.690, section 8.1)."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:  # the long form: so many octets have the length
            octets = length & 0x7F
            length, at = int.from_bytes(der[at : at + octets], "big"), at + octets
        yield tag, der[at : at + length]
        at += length
