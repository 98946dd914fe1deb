"""Step prove: the finished archive, opened as a stranger would, then moved into the model store."""

from __future__ import annotations

import shutil

from onnxserve.archive import check_archive

from .step import Step
from .work import Work


def call(work: Work) -> None:
    """Digests and golden rows through the archive's own handler; only then does it enter the store."""
    checked = check_archive(work.archive)
    work.store.mkdir(parents=True, exist_ok=True)
    target = work.store / work.archive.name
    # Copy beside, then rename: a server that lists the store never sees half an archive.
    partial = target.with_suffix(".part")
    shutil.copyfile(work.archive, partial)
    partial.replace(target)
    work.archive = target
    work.say(f"      {checked.members} digests, {checked.golden_rows} golden rows; {target}")


STEP = Step("prove", ("archive",), (), call)
