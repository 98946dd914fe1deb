"""Definitions to the registry, and the newest values of every entity to the online store."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime

from onnxserve.errors import FeatureError

from .repo import Repo

BEGINNING = "1970-01-01T00:00:00"
LOG_LINES = 12


def load(repo: Repo, until: datetime | None = None, *, online: bool = True) -> None:
    """`feast apply`, then `feast materialize` of everything before `until`; may be done again at any time."""
    feast(repo, "apply")
    if not online:
        return
    end = (until or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    feast(repo, "materialize", BEGINNING, end)


def feast(repo: Repo, *words: str) -> str:
    """What Feast's command says; FeatureError with the end of it when it fails."""
    done = subprocess.run(
        repo.command(*words),
        env=repo.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return done.stdout
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if any("No module named 'feast'" in line for line in lines):
        raise FeatureError("feast is not installed", fix="pip install 'onnxserve[features]'")
    raise FeatureError(
        f"feast {words[0]} failed: {lines[-1] if lines else f'exit {done.returncode}'}",
        where=str(repo.folder),
        fix="\n         ".join(["the end of its log:", *lines[-LOG_LINES:]]),
    )
