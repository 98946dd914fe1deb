"""Step prove: the finished archive, opened as a stranger would, then moved into the model store."""

from __future__ import annotations

from onnxserve.archive import check_archive, enter_store

from .export_state import ExportState
from .step import Step


def call(state: ExportState) -> None:
    """Digests and golden rows through the archive's own handler; only then does it enter the store."""
    checked = check_archive(state.archive, ())  # whoever signs it does so afterwards
    state.archive = enter_store(state.archive, state.store)
    state.say(f"      {checked.members} digests, {checked.golden_rows} golden rows; {state.archive}")


STEP = Step("prove", ("archive",), (), call)
