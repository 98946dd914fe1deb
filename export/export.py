"""One export, from a definition's folder to an archive in the store."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from onnxserve.spec import read_definition

from .step import Step, run_steps
from .work import Work


def export_model(folder: Path, store: Path, steps: Sequence[Step], say: Callable[[str], None]) -> Work:
    """Run `steps` on the definition in `folder`; nothing enters the store unless all checks pass."""
    definition = read_definition(folder)
    say(f"{definition.name} {definition.version}")
    with tempfile.TemporaryDirectory(prefix="onnxserve-") as scratch:
        work = Work(definition, store, Path(scratch), say)
        run_steps(work, steps)
    return work
