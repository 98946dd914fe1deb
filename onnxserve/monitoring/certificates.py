"""Reads when certificates expire (RFC 5280, section 4.1)."""

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
    """Return when the first certificate of a PEM file expires, in seconds since 1970; ValueError if unreadable."""
    blocks = BLOCK.findall(path.read_text(encoding="ascii", errors="replace"))
    if not blocks:
        raise ValueError(f"{path} has no certificate")
    return min(not_after(ssl.PEM_cert_to_DER_cert(block)) for block in blocks)


def not_after(der: bytes) -> float:
    """Return when one certificate expires; ValueError if the bytes aren't a certificate."""
    try:
        [(_, certificate)] = elements(der)
        _, to_be_signed = next(elements(certificate))
        # The fields: version (absent in version 1), serial number, then three sequences: algorithm, issuer, validity.
        sequences = (content for tag, content in elements(to_be_signed) if tag == SEQUENCE)
        _algorithm, _issuer, validity = next(sequences), next(sequences), next(sequences)
        [_, (tag, time)] = elements(validity)
        return dt.datetime.strptime(time.decode("ascii"), FORMATS[tag]).timestamp()  # noqa: DTZ007 - %z
    except (IndexError, KeyError, StopIteration) as error:
        raise ValueError("not an X.509 certificate") from error


def elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tags and contents of the elements of DER (X.690, section 8.1)."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:  # the long form: the length is in this many octets
            octets = length & 0x7F
            length, at = int.from_bytes(der[at : at + octets], "big"), at + octets
        yield tag, der[at : at + length]
        at += length
