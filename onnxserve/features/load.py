"""Loading the feature store: definitions into the registry, the newest values of each entity into the online store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from onnxserve.errors import FeatureError
from onnxserve.processes import run_to_end

from .repo import Repo

BEGINNING = "1970-01-01T00:00:00"
LOG_LINES = 12


def load_commands(until: datetime | None = None, *, online: bool = True) -> list[list[str]]:
    """Return `feast apply`, then `feast materialize` of everything before `until`; both may be repeated."""
    end = (until or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return [["apply"], *([["materialize", BEGINNING, end]] if online else [])]


def load(repo: Repo, until: datetime | None = None, *, online: bool = True) -> None:
    """Bring registry and online store up to `until`; FeatureError with the end of Feast's output if that fails."""
    command = repo.command(*load_commands(until, online=online))
    ended = run_to_end(command, folder=Path.cwd(), environment=repo.environment())
    if ended.status != 0:
        status = f"exit {ended.status}"
        raise failure("loading the feature store failed", ended.lines, str(repo.folder), status)


def failure(what: str, output: Sequence[str], where: str, otherwise: str = "") -> FeatureError:
    """Return an error with Feast's last line of output, and the lines before it as the fix."""
    lines = [line for line in output if line.strip()]
    if any("No module named 'feast'" in line for line in lines):
        return FeatureError("feast is not installed", fix="pip install 'onnxserve[features]'")
    last = lines[-1] if lines else otherwise
    fix = "\n         ".join(["the end of its log:", *lines[-LOG_LINES:]])
    return FeatureError(f"{what}: {last}", where=where, fix=fix)
