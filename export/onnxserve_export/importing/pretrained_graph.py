"""A graph in a folder of transformers, as Optimum and repositories of the hub have it: the folder describes it."""

from __future__ import annotations

from pathlib import Path

from onnxserve.errors import DefinitionError
from onnxserve_export.sources import SourceModel
from onnxserve_export.sources.onnx_file import OnnxSource
from onnxserve_export.sources.pretrained import CONFIG, MODULES, architecture, read_object

from .outline import Outline
from .pretrained import head_of, processor_of, read_pretrained
from .pretrained_sound import SAMPLES
from .row_trial import read_rows


def read_pretrained_graph(outline: Outline, source: SourceModel, folder: Path) -> bool:
    """Read what the folder's files say; return False where they say nothing of this graph.

    So it is if the user gives rows another kind, if the class has no head that a task reads, or if the graph hasn't the
    outputs of that head.
    """
    try:
        name = architecture(read_object(folder / CONFIG), folder)
        head = head_of(name, processor_of(folder), sentences=(folder / MODULES).is_file())
    except DefinitionError:
        return False
    is_other_kind = outline.get("input.kind") not in (None, head.kind)
    outputs = source.outputs if isinstance(source, OnnxSource) else []
    if is_other_kind or not {*head.outputs} <= {*outputs} or is_spectrogram(folder, head.kind):
        return False
    read_pretrained(outline, folder)
    read_rows(outline, source)
    return True


def is_spectrogram(folder: Path, kind: str) -> bool:
    """Return whether the graph takes what a feature extractor makes of sounds, which only a module can have added."""
    extractor = processor_of(folder).get("feature_extractor_type")
    return kind == "audio" and extractor not in (None, SAMPLES)
