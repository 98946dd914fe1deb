"""Checking an archive: all digests, no stranger among the members, golden rows through its own handler."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from onnxserve.errors import ArchiveError

from .offline import answers
from .read import member, open_archive, summarise, unpack
from .write import DIGESTS, MANIFEST


@dataclass(frozen=True)
class Checked:
    """What was checked of one archive."""

    name: str
    version: str
    sha256: str
    members: int
    golden_rows: int


def check_members(path: Path) -> int:
    """Compare each member with its recorded digest; ArchiveError lists every fault."""
    with open_archive(path) as archive:
        try:
            recorded = msgspec.json.decode(member(archive, DIGESTS), type=dict[str, str])
        except msgspec.DecodeError as error:
            raise ArchiveError(f"{DIGESTS} is damaged: {error}", where=str(path)) from error
        present = {info.filename for info in archive.infolist() if not info.is_dir()} - {DIGESTS, MANIFEST}
        faults = [f"{name} is missing" for name in sorted(set(recorded) - present)]
        faults += [f"{name} is not recorded" for name in sorted(present - set(recorded))]
        faults += [
            f"{name} differs from its recorded digest"
            for name in sorted(present & set(recorded))
            if hashlib.sha256(member(archive, name)).hexdigest() != recorded[name]
        ]
    if faults:
        raise ArchiveError("; ".join(faults), where=str(path), fix="fetch or export the archive again")
    return len(recorded)


def check_archive(path: Path) -> Checked:
    """Digests, then golden rows through the archive's own handler in a process of its own."""
    summary, count = summarise(path), check_members(path)
    with tempfile.TemporaryDirectory() as folder:
        unpack(path, Path(folder))
        golden = msgspec.json.decode((Path(folder) / "golden.json").read_bytes())
        bodies = [msgspec.json.encode({"instances": [instance]}) for instance in golden["instances"]]
        bad = [answer for answer in answers(Path(folder), bodies) if answer["status"] != 200]
    if bad:
        raise ArchiveError(f"{len(bad)} golden rows are refused: {bad[0]['body']}", where=str(path))
    return Checked(summary.name, summary.version, summary.sha256, count, len(bodies))
