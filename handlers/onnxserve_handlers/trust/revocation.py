"""Keys and archives that must not be loaded any more, whoever signed them: lines of a text file.

    key 3f2a...   a laptop was lost
    archive 9c1d...   it was trained on rows that had to go

A key goes by the SHA-256 of its public part (SubjectPublicKeyInfo, DER), an archive by that of its content. Files are
read anew at each load. What can't be read revokes everything: nobody knows what it would say. The worker and
`onnxserve.archive` import this module, which needs nothing but the standard library.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

VARIABLE = "ONNXSERVE_REVOKED"
LINE = re.compile(r"(key|archive)\s+([0-9a-f]{64})(?:\s+(\S.*))?")
COMMENT = "#"


class ArchiveUntrusted(RuntimeError):
    """Nobody whom this machine trusts vouches for the archive, or somebody has taken that back."""


class Revoked(NamedTuple):
    """Why each is revoked, by its SHA-256; the reason is empty where nobody gave one."""

    keys: dict[str, str]
    archives: dict[str, str]

    def check_key(self, digest: str, name: str) -> None:
        """ArchiveUntrusted for a key that is revoked."""
        if digest in self.keys:
            raise ArchiveUntrusted(f"the key that signed it, {name}, is revoked" + because(self.keys[digest]))

    def check_archive(self, digest: str) -> None:
        """ArchiveUntrusted for an archive that is revoked, by the digest of its content."""
        if digest in self.archives:
            raise ArchiveUntrusted("the archive is revoked" + because(self.archives[digest]))


def because(reason: str) -> str:
    """A reason that follows, if there is one."""
    return f": {reason}" if reason else ""


def is_configured() -> bool:
    """Whether a list is named."""
    return bool(os.environ.get(VARIABLE))


def read_revoked() -> Revoked:
    """What the files say whose paths the variable holds, parted by `:`; nothing where it is empty.

    ArchiveUntrusted for a file that is missing, for a line that says something else, and for a variable without a path.
    """
    revoked, text = Revoked({}, {}), os.environ.get(VARIABLE, "")
    names = [name for name in text.split(os.pathsep) if name]
    if text and not names:  # `:`, as two empty variables make it
        raise ArchiveUntrusted(f"{VARIABLE} is {text!r}, which names no file")
    for name in names:
        for kind, digest, reason in _lines(Path(name)):
            (revoked.keys if kind == "key" else revoked.archives)[digest] = reason
    return revoked


def _lines(path: Path) -> Iterator[tuple[str, str, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArchiveUntrusted(f"{VARIABLE} names {path}, which can't be read: {error}") from error
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith(COMMENT):
            continue
        found = LINE.fullmatch(line)
        if found is None:
            what = "`key SHA-256 why` or `archive SHA-256 why` is expected"
            raise ArchiveUntrusted(f"{VARIABLE} names {path}, whose line {number} can't be read: {what}")
        yield found[1], found[2], found[3] or ""
