"""Step load: the torch module in evaluation mode, and the files that its handler needs."""

from __future__ import annotations

import torch

from onnxserve.errors import DefinitionError

from .export_state import ExportState
from .step import Step
from .user_code import call_function

SEED = 20240229


def call(state: ExportState) -> None:
    """Call the definition's `loader` and `assets`, seeded, so that a head trained there is the same each time."""
    definition = state.definition
    torch.manual_seed(SEED)
    # In memory, since training is the definition's own affair; the other subsets stay on disk.
    offered = {"sources": state.sources, "fit": [(row.value, row.label) for row in state.split.fit]}
    module = call_function(definition.loader, definition.folder, **offered)
    if not isinstance(module, torch.nn.Module):
        raise DefinitionError(f"{definition.loader} gave {type(module).__name__}, not a torch.nn.Module")
    state.module = module.eval().requires_grad_(requires_grad=False).to("cpu")
    state.assets = {}
    if definition.assets:
        assets = call_function(definition.assets, definition.folder, **offered)
        state.assets = {str(name): bytes(content) for name, content in dict(assets).items()}
    parameters = sum(parameter.numel() for parameter in state.module.parameters())
    state.say(f"      {type(module).__name__}, {parameters:,} parameters")


STEP = Step("load", ("sources", "split"), ("module", "assets"), call, collects=True)
