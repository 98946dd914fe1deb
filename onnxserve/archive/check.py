"""Checking an archive: all digests, no stranger among the members, golden rows through its own handler."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from onnxserve.errors import ArchiveError

from .file import file_digest
from .offline import answers
from .read import contents, member, open_archive, summarise, unpack
from .sign import check_signature
from .write import DIGESTS, digests, write_archive


@dataclass(frozen=True)
class Checked:
    """What was checked of one archive."""

    name: str
    version: str
    sha256: str
    members: int
    golden_rows: int
    signed: bool


def check_members(path: Path) -> int:
    """Compare each member with its recorded digest; ArchiveError lists every fault."""
    with open_archive(path) as archive:
        try:
            recorded = msgspec.json.decode(member(archive, DIGESTS), type=dict[str, str])
        except msgspec.DecodeError as error:
            raise ArchiveError(f"{DIGESTS} is damaged: {error}", where=str(path)) from error
    members, manifest, signature = contents(path)
    found = digests(members)
    faults = [f"{name} is missing" for name in sorted(recorded.keys() - found.keys())]
    faults += [f"{name} is not recorded" for name in sorted(found.keys() - recorded.keys())]
    faults += [
        f"{name} differs from its recorded digest"
        for name in sorted(found.keys() & recorded.keys())
        if found[name] != recorded[name]
    ]
    if faults:
        raise ArchiveError("; ".join(faults), where=str(path), fix="fetch or export the archive again")
    # What no digest covers (names, dates, order, gaps) must be as we write it.
    with tempfile.TemporaryDirectory() as scratch:
        again = write_archive(Path(scratch) / "again.mar", members, manifest, signature)
    if again != file_digest(path):
        raise ArchiveError(
            "the file isn't byte for byte what onnxserve writes for these members",
            where=str(path),
            fix="fetch or export the archive again; one of torch-model-archiver can be served, but not verified",
        )
    return len(recorded)


def check_archive(path: Path, public_key: Path | None = None) -> Checked:
    """Digests, signature if a key is given, then golden rows through the archive's own handler in a process."""
    summary, count = summarise(path), check_members(path)
    if public_key is not None:
        check_signature(path, public_key)
    with tempfile.TemporaryDirectory() as folder:
        unpack(path, Path(folder))
        golden = msgspec.json.decode((Path(folder) / "golden.json").read_bytes())
        bodies = [msgspec.json.encode({"instances": [instance]}) for instance in golden["instances"]]
        bad = [answer for answer in answers(Path(folder), bodies) if answer["status"] != 200]
    if bad:
        raise ArchiveError(f"{len(bad)} golden rows are refused: {bad[0]['body']}", where=str(path))
    return Checked(summary.name, summary.version, summary.sha256, count, len(bodies), public_key is not None)
