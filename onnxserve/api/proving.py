"""`onnxserve.prove`: the proof of an archive, repeated on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from onnxserve.archive import check_archive
from onnxserve_export.extra import extra_needed

if TYPE_CHECKING:
    from onnxserve_export.rerun import Rerun


def prove(archive: str | os.PathLike[str], *, public_keys: Sequence[str | os.PathLike[str]] | None = None) -> Rerun:
    """Check an archive, and repeat its proof on this machine, as `onnxserve archive verify --rerun` does.

    An export proves an archive where it was made; this answers whether it may serve here too, where other kernels round
    differently. First its digests, signature and golden rows must hold; then its own handler answers its proof rows,
    and the answers are compared with those of the model that it was made of. The result says in `loss` what is lost, in
    `paired.bound` how much may be lost [share], in `recorded_bound` the same at export, and in `budget` what is
    allowed. `public_keys` are as for `Archive.verify`.

    ArchiveError if the archive isn't what it records or has no proof rows; CheckFailed if it shouldn't serve here.
    """
    path = Path(archive)
    check_archive(path, None if public_keys is None else [Path(key) for key in public_keys])
    with extra_needed():
        from onnxserve_export.rerun import check_rerun, rerun
    repeated = rerun(path)
    check_rerun(repeated, path)
    return repeated
