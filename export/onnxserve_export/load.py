"""Step load: open the model's source, and collect the files that its handler needs."""

from __future__ import annotations

from .export_state import ExportState
from .precision import settle as settle_precision
from .seeding import seed_all
from .sources import open_source
from .step import Step
from .user_code import call_function

SEED = 20240229


def call(state: ExportState) -> None:
    """Open the source and call the definition's `assets`, seeded, so that a head trained there is always the same."""
    definition = state.definition
    seed_all(SEED)
    # In memory, since training is the definition's own affair; the other subsets stay on disk.
    offered = {"sources": state.sources, "fit": [(row.value, row.label) for row in state.split.fit]}
    source = str(state.source_file or definition.source)
    state.model = open_source(source, definition.folder, offered, definition.source_outputs)
    settle_precision(state)
    state.assets = {}
    if definition.assets:
        assets = call_function(definition.assets, definition.folder, **offered)
        state.assets = {str(name): bytes(content) for name, content in dict(assets).items()}
    state.say(f"      {state.model.summary}")


STEP = Step("load", ("sources", "source_file", "split"), ("model", "assets"), call, collects=True)
