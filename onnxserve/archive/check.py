"""The check of an archive: all digests, no unrecorded member, golden rows through its own handler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from onnxserve.errors import ArchiveError
from onnxserve.scratch import Scratch
from onnxserve_handlers.trust.digests import MIGRATION, RECORD, file_digest

from .offline import answers
from .read import FOREIGN_FIX, contents, summarise, unpack
from .verification import check_content, configured_keys
from .write import write_archive


@dataclass(frozen=True)
class CheckResult:
    """The result of a check."""

    name: str
    version: str
    sha256: str
    members: int
    golden_rows: int
    signed: bool


def check_members(path: Path, *public_keys: Path) -> int:
    """Compare each member with its recorded digest, and the file with what we write; ArchiveError lists every fault.

    With keys the signature must hold too.
    """
    count = check_content(path, *public_keys)
    members, manifest, signature = contents(path)
    if not count:
        raise ArchiveError(f"{RECORD} is missing", where=str(path), fix=FOREIGN_FIX)
    # No digest covers dates, order and attributes, so they must be as we write them.
    with Scratch() as scratch:
        again = write_archive(scratch / "again.mar", members, manifest, signature)
    if again != file_digest(path):
        raise ArchiveError(
            "the file isn't byte for byte what onnxserve writes for these members", where=str(path), fix=FOREIGN_FIX
        )
    return count


def check_archive(path: Path, public_keys: Sequence[Path] | None = None, provider: str = "") -> CheckResult:
    """Check digests, the signature, and golden rows by the archive's own handler; ArchiveError if one of them fails.

    The handler runs in a process of its own. A migrated archive has no golden rows, and nothing of it runs.
    Without `public_keys` they are those that this machine trusts; an empty sequence asks for no signature. The handler
    runs on `provider`, or where none is named on the one of `ONNXSERVE_PROVIDER`, by default the CPU's.
    """
    keys = configured_keys() if public_keys is None else public_keys
    summary, count = summarise(path), check_members(path, *keys)
    with Scratch() as folder:
        unpack(path, folder)
        rows = 0 if (folder / MIGRATION).is_file() else check_golden(path, folder, provider)
    return CheckResult(summary.name, summary.version, summary.sha256, count, rows, bool(keys))


def check_golden(path: Path, folder: Path, provider: str = "") -> int:
    """Answer the golden rows by the unpacked archive's own handler; return their number, ArchiveError if one fails."""
    golden = msgspec.json.decode((folder / "golden.json").read_bytes())
    bodies = [msgspec.json.encode({"instances": [instance]}) for instance in golden["instances"]]
    bad = [answer for answer in answers(folder, bodies, provider) if answer["status"] != 200]
    if bad:
        raise ArchiveError(f"{len(bad)} golden rows are refused: {bad[0]['body']}", where=str(path))
    return len(bodies)
