"""What the console shows of one version beside its traffic: evidence, profile, and the last window of live rows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple
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


class Documents(NamedTuple):
    """The shown parts of an archive's evidence and of its profile, each None where it can't be shown, and why not."""

    evidence: dict[str, Any] | None
    profile: dict[str, Any] | None
    reasons: tuple[str, ...]


def version_page(archive: Path, windows: Path, model: str, version: str) -> dict[str, Any]:
    """Return the evidence, the profile and the window, each None where there is none; `reason` says why."""
    try:
        documents = read_documents(archive)
    except ArchiveError as error:  # such as one that is sealed, or was removed
        documents = Documents(None, None, (error.what,))
    return {
        "evidence": documents.evidence,
        "profile": documents.profile,
        "window": last_window(windows, model, version),
        "reason": "; ".join(documents.reasons),
    }


@cached_by_file
def read_documents(archive: Path) -> Documents:
    """Return what an archive has; a part that is damaged or of another form costs no other part."""
    with open_archive(archive) as opened:
        evidence, why_no_evidence = _read(opened, EVIDENCE, EvidenceForm)
        profile, why_no_profile = _read(opened, PROFILE, Profile)
    if not (evidence or why_no_evidence):
        why_no_evidence = "the archive has no evidence of ours"
    return Documents(evidence, profile, tuple(filter(None, (why_no_evidence, why_no_profile))))


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


def _read(archive: ZipFile, name: str, kind: type[msgspec.Struct]) -> tuple[dict[str, Any] | None, str]:
    """Return a document and no reason, or why it can't be shown; neither where the archive has none."""
    if name not in archive.namelist():
        return None, ""
    try:
        return dict(msgspec.to_builtins(msgspec.json.decode(member(archive, name), type=kind))), ""
    except ArchiveError as error:
        return None, error.what
    except msgspec.ValidationError as error:  # such as one of a later release
        return None, f"{name} of the archive has another form than the console reads: {error}"
    except msgspec.DecodeError as error:
        return None, f"{name} of the archive is damaged: {error}"
