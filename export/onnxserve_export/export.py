"""One export, from a definition's folder to an archive in the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from onnxserve.definition import Definition, read_definition
from onnxserve.errors import OnnxserveError
from onnxserve.scratch import Scratch

from .export_state import ExportState, no_progress
from .in_memory import NOTHING, InMemory
from .options import DEFAULTS, ExportOptions
from .replacement import check_free
from .step import Step, run_steps


def export_model(
    folder: Path,
    store: Path,
    steps: Sequence[Step],
    say: Callable[[str], None],
    *,
    progress: Callable[[str, int, int], None] = no_progress,
    options: ExportOptions = DEFAULTS,
) -> ExportState:
    """Run `steps` on the definition in `folder`; nothing enters the store unless all checks pass."""
    return export_definition(read_definition(folder), store, steps, say, progress=progress, options=options)


def export_definition(  # noqa: PLR0913 - all but four are optional
    definition: Definition,
    store: Path,
    steps: Sequence[Step],
    say: Callable[[str], None],
    *,
    progress: Callable[[str, int, int], None] = no_progress,
    options: ExportOptions = DEFAULTS,
    memory: InMemory = NOTHING,
) -> ExportState:
    """Run `steps` on a definition, whose model or rows may be in memory.

    ArchiveError before any work if its version exists, unless `options.replace` is set.
    """
    if options.search_minutes is not None:
        quantise = msgspec.structs.replace(definition.quantise, search_minutes=options.search_minutes)
        definition = msgspec.structs.replace(definition, quantise=quantise)
    if options.development_version:
        definition = msgspec.structs.replace(definition, version=options.development_version)
    make_store(store)
    say(f"{definition.name} {definition.version}")
    if not options.replace:
        check_free(definition.name, definition.version, (store, *options.server_stores))
    with Scratch() as scratch:
        state = ExportState(definition, store, scratch, say, progress, options, memory=memory)
        with state.running:
            run_steps(state, steps)
    return state


def make_store(store: Path) -> None:
    """Make the folder of archives before any work; OnnxserveError if it can't be one."""
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"the store can't be a folder: {error.strerror}"
        raise OnnxserveError(what, where=str(store), fix="name another folder for archives") from error
