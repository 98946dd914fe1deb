"""The state that the steps of one export share. A field exists once its step has run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxserve.definition import Definition

from .arrays import Arrays, Axes
from .batches import Batches
from .faults import FaultList
from .graph_outputs import GraphOutputs
from .in_memory import NOTHING, InMemory
from .options import DEFAULTS, ExportOptions
from .records import (
    Candidate,
    Certified,
    DriftProfile,
    Finding,
    Measured,
    Parity,
    Plan,
    Range,
    RowParity,
    Sensitivity,
    Split,
    Timing,
)
from .variants import CPU, OPENVINO

if TYPE_CHECKING:
    from onnxserve_handlers.tasks import TaskHooks

    from .sources import SourceModel


@dataclass(frozen=True)
class Groups:
    """Rows as batches of tensors: by subset, and some again alone and in random batches, to check batch invariance.

    `probe` are certify rows, or where there are few, other rows too. `alone` are its first rows, and `mixed` random
    batches of those of its rows that `mixed_rows` names, in that order. `fit` are the first fit rows; `generated` are
    random rows within the signature.
    """

    calibrate: Batches
    fit: Batches
    generated: Batches
    select: Batches
    certify: Batches
    probe: Batches
    alone: Batches
    mixed: Batches
    mixed_rows: list[int]
    shapes: dict[str, Batches]
    golden: Batches


def no_progress(_label: str, _done: int, _total: int) -> None:
    """Show no progress."""


@dataclass
class ExportState:
    """The state of one export; `say` takes lines to print, `progress` a label, the number done and the total."""

    definition: Definition
    store: Path
    scratch: Path
    say: Callable[[str], None] = print
    progress: Callable[[str, int, int], None] = no_progress
    options: ExportOptions = DEFAULTS
    memory: InMemory = NOTHING
    faults: FaultList = field(default_factory=FaultList)  # found so far; the step `check` tells them
    running: ExitStack = field(default_factory=ExitStack)  # ends what runs beside the steps
    sources: dict[str, Path] = field(init=False)
    source_file: Path | None = field(init=False)  # file or folder of the model; None if a function makes it
    row_files: Path | None = field(
        default=None, init=False
    )  # file, folder or glob of the rows; None if they come from elsewhere
    split: Split = field(init=False)
    plan: Plan = field(init=False)
    task: TaskHooks = field(init=False)  # of the class that will serve
    opened: TaskHooks = field(init=False)  # the same, with its files read and its options as the outputs decided them
    golden: list[dict[str, Any]] = field(init=False)
    assets: dict[str, bytes] = field(init=False)
    model: SourceModel = field(init=False)
    archive_folder: Path = field(init=False)
    groups: Groups = field(init=False)
    axes: Axes = field(init=False)  # free axes of the inputs
    limits: dict[str, int] = field(init=False)  # the largest size of each free axis
    least: dict[str, int] = field(init=False)  # the smallest size of those that may not be 1 long
    probe: list[Any] = field(init=False)  # values of the rows that the source and batches are checked with
    probe_places: list[int] = field(init=False)  # of those among the certify rows, which come first
    # Of the source's outputs, by name, the main one first; rows are cut to their own lengths.
    reference: Arrays = field(init=False)
    probe_reference: Arrays = field(init=False)
    select_reference: Arrays = field(init=False)
    golden_outputs: Arrays = field(init=False)
    scales: Arrays = field(init=False)  # the units of deviations
    output_axes: Axes = field(init=False)  # free axes of the outputs
    row_axes: Axes = field(init=False)  # those of them that are as long as the rows
    fp32: Path = field(init=False)
    ranges: list[Range] = field(init=False)
    findings: list[Finding] = field(init=False)
    parity: list[Parity] = field(init=False)
    row_parity: RowParity | None = field(init=False)  # None if fp32 isn't among the variants
    fp32_outputs: GraphOutputs | None = field(init=False)  # for all groups from certify to mixed; None likewise
    candidates: list[Candidate] = field(init=False)
    refused: dict[str, str] = field(init=False)
    sensitivity: Sensitivity | None = field(init=False)
    measured: list[Measured] = field(init=False)
    outputs: dict[str, Arrays] = field(init=False)  # for the certify rows, of each candidate of the sequence
    timings: list[Timing] = field(init=False)
    sequence: list[Candidate] = field(init=False)  # in which they are certified, the safest first
    certified: Certified = field(init=False)
    chosen: Candidate = field(init=False)
    profile: DriftProfile = field(init=False)
    evidence: dict[str, Any] = field(init=False)
    key_types: dict[str, str] = field(default_factory=dict)  # of the feature store's entities
    archive: Path = field(init=False)
    sha256: str = field(init=False)

    def start(self, graph: Path, batches: Batches) -> GraphOutputs:
        """Return the outputs of a graph, computed by a process that ends with the export at the latest."""
        outputs = GraphOutputs(graph, batches, self.row_axes, self.scratch, self.provider)
        self.running.callback(outputs.close)
        return outputs

    @property
    def provider(self) -> str:
        """The provider that graphs run on here: OpenVINO if it is to serve, else the CPU's, for a GPU too."""
        return OPENVINO if self.definition.serve.provider == OPENVINO else CPU

    @property
    def source_place(self) -> str:
        """Where the model is, as messages say it: its path on this machine, or what the definition names."""
        return str(self.source_file or self.definition.source)

    @property
    def rows_place(self) -> str:
        """Where the rows are, as messages say it: their path on this machine, or what the definition names."""
        return str(self.row_files or self.definition.rows.location)
