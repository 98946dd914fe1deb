"""Wrapping a TorchServe archive: the same members in a canonical archive, with a record of where they came from."""

from __future__ import annotations

from pathlib import Path

from onnxserve.archive.write import pretty, write_archive
from onnxserve.errors import ArchiveError
from onnxserve_handlers.trust.digests import EVIDENCE, MIGRATION, file_digest

from .stock import StockArchive

REASON = "it was migrated from TorchServe, and nothing says what its answers should be"


def migration_members(stock: StockArchive) -> dict[str, bytes]:
    """Return the members that are added: the archive is unproven, and was migrated from these bytes."""
    record = {"source": stock.path.name, "sha256": stock.sha256, "handler": stock.model.handler}
    summary = {"proof": "unproven", "unproven": REASON, "migrated": True}
    return {MIGRATION: pretty(record), EVIDENCE: pretty({"summary": summary})}


def wrap(stock: StockArchive, store: Path) -> tuple[Path, str]:
    """Write `MODEL-VERSION.mar` to a store; return its path and SHA-256.

    The same archive gives the same bytes. ArchiveError if the store has other bytes of that name.
    """
    target = store / f"{stock.name}-{stock.version}.mar"
    fresh = target.with_suffix(".migrating")
    try:
        sha256 = write_archive(fresh, {**stock.members, **migration_members(stock)}, stock.document)
        if target.exists() and file_digest(target) != sha256:
            raise ArchiveError(
                f"the store has another {target.name}",
                where=str(target),
                fix="a version never changes: archive the model with a higher version, or name another store: --out",
            )
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)
    return target, sha256
