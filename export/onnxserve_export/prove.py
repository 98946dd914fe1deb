"""Step prove: open the finished archive as any user would, check it, then move it into the model store."""

from __future__ import annotations

from onnxserve.archive import check_archive, enter_store

from .export_state import ExportState
from .step import Step


def call(state: ExportState) -> None:
    """Check digests, and golden rows by the archive's own handler; only then does the archive enter the store."""
    checked = check_archive(state.archive, ())  # whoever signs it does so afterwards
    state.archive = enter_store(state.archive, state.store)
    state.say(f"      {checked.members} digests, {checked.golden_rows} golden rows; {state.archive}")


STEP = Step("prove", ("archive",), (), call)
