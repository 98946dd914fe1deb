"""Bytes as text in JSON: base64 as clients write it.

Sources: RFC 4648 (both alphabets; padding may be left out where the length says it), RFC 2045 (lines),
RFC 2397 (data URLs).
"""

from __future__ import annotations

import base64
import binascii
import re

from .errors import UndecodableBody

DATA_URL = re.compile(r"\s*data:[^,;]*(?:;[^,;]*)*;base64,", re.IGNORECASE)
SPELLINGS = str.maketrans({"-": "+", "_": "/", **dict.fromkeys(" \t\r\n\f\v")})  # None removes


def from_base64(text: str, where: str) -> bytes:
    """The bytes; UndecodableBody for anything else than base64, whose padding, lines and alphabet don't matter."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return _lenient(text, where)


def _lenient(text: str, where: str) -> bytes:
    url = DATA_URL.match(text)
    plain = text[url.end() if url else 0 :].translate(SPELLINGS).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UndecodableBody("not valid base64", where=where, fix="encode the file with base64") from error
