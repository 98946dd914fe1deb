"""Step prove: the finished archive, opened as a stranger would, then moved into the model store."""

from __future__ import annotations

from onnxserve.archive import check_archive, enter_store

from .step import Step
from .work import Work


def call(work: Work) -> None:
    """Digests and golden rows through the archive's own handler; only then does it enter the store."""
    checked = check_archive(work.archive, ())  # whoever signs it does so afterwards
    work.archive = enter_store(work.archive, work.store)
    work.say(f"      {checked.members} digests, {checked.golden_rows} golden rows; {work.archive}")


STEP = Step("prove", ("archive",), (), call)
