"""What the steps of one export hand to each other. A field exists once its step has run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from onnxserve.spec import Definition

if TYPE_CHECKING:
    import torch

    from .measure import Measured
    from .rows import Split
    from .verify import Parity

Array = npt.NDArray[Any]
Arrays = dict[str, Array]


@dataclass(frozen=True)
class Candidate:
    """One variant of the graph as a file; `excluded` names the nodes it left in float."""

    variant: str
    path: Path
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Groups:
    """Rows as batches of tensors: for calibration, for certification, and for the shape proof."""

    calibrate: list[Arrays]
    certify: list[Arrays]
    alone: list[Arrays]
    shapes: dict[str, Arrays]
    golden: Arrays


@dataclass
class Work:
    """The state of one export; `say` reports progress to whoever called."""

    definition: Definition
    store: Path
    scratch: Path
    say: Callable[[str], None] = print
    sources: dict[str, Path] = field(init=False)
    split: Split = field(init=False)
    golden: list[dict[str, Any]] = field(init=False)
    assets: dict[str, bytes] = field(init=False)
    module: torch.nn.Module = field(init=False)
    stage: Path = field(init=False)
    groups: Groups = field(init=False)
    axes: dict[str, dict[int, str]] = field(init=False)
    reference: Array = field(init=False)
    golden_outputs: Array = field(init=False)
    fp32: Path = field(init=False)
    parity: list[Parity] = field(init=False)
    candidates: list[Candidate] = field(init=False)
    refused: dict[str, str] = field(init=False)
    measured: list[Measured] = field(init=False)
    timings: dict[str, float] = field(init=False)
    chosen: Candidate = field(init=False)
    evidence: dict[str, Any] = field(init=False)
    archive: Path = field(init=False)
    sha256: str = field(init=False)
