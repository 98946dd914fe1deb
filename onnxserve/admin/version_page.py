"""What the console shows of one version beside its traffic: evidence, profile, and the last window of live rows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import msgspec

from onnxserve.archive import open_archive
from onnxserve.archive.evidence import EVIDENCE, PROFILE
from onnxserve.archive.evidence_form import EvidenceForm
from onnxserve.archive.file_cache import cached_by_file
from onnxserve.archive.read import member
from onnxserve.errors import ArchiveError
from onnxserve.monitoring.exporter import process_exists
from onnxserve_handlers.telemetry.metrics import WINDOWS, Window

from .profile import Profile


def version_page(archive: Path, windows: Path, model: str, version: str) -> dict[str, Any]:
    """Return the evidence, the profile and the window, each None where there is none; `reason` says why."""
    try:
        evidence, profile = read_documents(archive)
        reason = "" if evidence else "the archive has no evidence of ours"
    except ArchiveError as error:  # such as one that is sealed, was removed, or is of a later release
        evidence, profile, reason = None, None, error.what
    return {
        "evidence": evidence,
        "profile": profile,
        "window": last_window(windows, model, version),
        "reason": reason,
    }


@cached_by_file
def read_documents(archive: Path) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return the shown parts of an archive's evidence and of its profile; ArchiveError if their form is another."""
    with open_archive(archive) as opened:
        return _read(opened, EVIDENCE, EvidenceForm), _read(opened, PROFILE, Profile)


def last_window(folder: Path, model: str, version: str) -> dict[str, Any] | None:
    """Return the sum of the last windows of a version's workers; None before one closed a window.

    `workers` is how many there are, and `closed` when the latest window ended, in seconds since 1970.
    """
    windows = [window for window in read_windows(folder) if (window.model, window.version) == (model, version)]
    if not windows:
        return None
    return {
        "workers": len(windows),
        "closed": max(window.closed for window in windows),
        "rows": sum(window.rows for window in windows),
        "unknown": sum(window.unknown for window in windows),
        "labels": {label: sum(window.labels.get(label, 0) for window in windows) for label in windows[0].labels},
        "measures": {name: _sum(window.measures.get(name, ()) for window in windows) for name in windows[0].measures},
    }


def read_windows(folder: Path) -> list[Window]:
    """Return the last window of each live worker; a file of another form, as of a later version, is left out."""
    windows = []
    for path in sorted(folder.glob(f"{WINDOWS}*.json")):
        process = path.stem.removeprefix(WINDOWS)
        if process.isdecimal() and process_exists(int(process)):
            try:
                windows.append(msgspec.json.decode(path.read_bytes(), type=Window))
            except (OSError, msgspec.DecodeError):
                continue
    return windows


def _sum(counts: Iterable[tuple[int, ...]]) -> list[int]:
    return [sum(bins) for bins in zip(*(part for part in counts if part), strict=False)]


def _read(archive: ZipFile, name: str, kind: type[msgspec.Struct]) -> dict[str, Any] | None:
    if name not in archive.namelist():
        return None
    try:
        document = msgspec.json.decode(member(archive, name), type=kind)
    except msgspec.DecodeError as error:
        raise ArchiveError(f"{name} of the archive has another form than the console reads: {error}") from error
    return dict(msgspec.to_builtins(document))
