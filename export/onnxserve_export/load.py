"""Step load: open the model's source, and collect the files that its handler needs."""

from __future__ import annotations

from .assets import read_assets
from .export_state import ExportState
from .precision import choose_dtype
from .seeding import seed_all
from .sources import open_source
from .step import Step
from .text_columns import check_texts

SEED = 20240229


def call(state: ExportState) -> None:
    """Open the source and read the archive's other files, seeded, so that a head trained there is always the same."""
    definition = state.definition
    seed_all(SEED)
    # In memory, since training is the definition's own affair; the other subsets stay on disk.
    offered = {"sources": state.sources, "fit": [(row.value, row.label) for row in state.split.fit]}
    trust = state.options.trust
    state.model = state.memory.model or open_source(
        state.source_place, definition.folder, offered, definition.source_outputs, trust=trust
    )
    state.model.runs_alone = definition.serve.batch_size == 1
    choose_dtype(state)
    check_texts(state)
    state.assets = read_assets(definition, state.source_file, offered)
    state.say(f"      {state.model.summary}")


STEP = Step("load", ("sources", "source_file", "split"), ("model", "assets"), call, collects=True)
