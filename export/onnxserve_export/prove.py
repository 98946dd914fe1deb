"""Step prove: open the finished archive as any user would, check it, then move it into the model store."""

from __future__ import annotations

from pathlib import Path

from onnxserve.archive import check_archive, enter_store, file_digest, same_content

from .export_state import ExportState
from .replacement import check_replaceable
from .step import Step


def call(state: ExportState) -> None:
    """Check digests, and golden rows by the archive's own handler; only then does the archive enter the store."""
    checked = check_archive(state.archive, (), state.provider)  # whoever signs it does so afterwards
    state.archive = stored(state)
    state.sha256 = file_digest(state.archive)
    state.say(f"      {checked.members} digests, {checked.golden_rows} golden rows; {state.archive}")


def stored(state: ExportState) -> Path:
    """Return the archive's path in the store; a file that has the same content stays as it is, signature included."""
    target = state.store / state.archive.name
    if target.is_file() and same_content(target, state.archive):
        return target
    if not state.options.replace:
        check_replaceable(state.archive, (state.store, *state.options.server_stores), state.definition.version)
    return enter_store(state.archive, state.store)


STEP = Step("prove", ("archive",), ("sha256",), call)
