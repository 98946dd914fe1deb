"""Records that the steps of an export make and later steps read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from .certify_log import CertifyTest
from .fusion import NOT_QUANTISED, Fusion
from .output_similarity import OutputSimilarity
from .paired_statistics import PairedStatistics
from .subset import FRACTIONS, Subset


@dataclass(frozen=True)
class Range:
    """The sizes of one free axis that the traced program holds for, as torch.export found them."""

    input: str
    axis: int
    lower: int
    upper: int | None  # None where there is no bound


@dataclass(frozen=True)
class Finding:
    """One trap in a graph; a `fatal` one ends the export, others are noted in the evidence."""

    kind: str
    where: str
    why: str
    fatal: bool = True


@dataclass(frozen=True)
class Parity:
    """Largest deviation of the fp32 graph from torch for one group of rows, in spreads of torch's outputs."""

    group: str
    shape: tuple[int, ...]
    deviation: float


@dataclass(frozen=True)
class RowParity:
    """How the fp32 graph answers single rows beside its source.

    `rows` are of the definition, `golden` of golden.jsonl, `generated` random ones within the signature. The deviation
    is the largest, in spreads of the source's outputs; `changed` answers differ. `fault` is empty if the graph is equal
    to its source within float tolerance on all of them.
    """

    rows: int
    golden: int
    generated: int
    deviation: float
    changed: int
    fault: str


@dataclass(frozen=True)
class Timing:
    """Median milliseconds per row of one variant at one number of threads and one batch size."""

    variant: str
    threads: int
    batch: int
    ms: float


@dataclass(frozen=True)
class Split:
    """Disjoint subsets of the rows; `duplicates` were dropped, `unlabelled` have no label.

    With `ranks`, labels are judged by the rankings that rows make. `queries` has the number of queries of each subset
    that are judged in place of rows, with `ranks` of those that rank documents; None where rows are judged.
    """

    fit: Subset
    calibrate: Subset
    select: Subset
    certify: Subset
    duplicates: int
    unlabelled: int = 0
    ranks: bool = False
    queries: dict[str, int] | None = None

    @property
    def subsets(self) -> dict[str, Subset]:
        """The subsets by name."""
        return {name: getattr(self, name) for name in FRACTIONS}

    @property
    def total(self) -> int:
        """The number of rows."""
        return sum(map(len, self.subsets.values()))

    @property
    def unit(self) -> str:
        """What a certificate counts."""
        return "rows" if self.queries is None else "queries"

    def units(self, name: str) -> int:
        """Return the number of rows of a subset, or of queries where these are judged."""
        return len(self.subsets[name]) if self.queries is None else self.queries[name]

    @property
    def labelled(self) -> bool:
        """Whether every row has a label."""
        return not self.unlabelled


@dataclass(frozen=True)
class Plan:
    """What the rows allow.

    The budget wants `needed` certify rows of a variant that loses nothing, 0 if no number is enough, and about `wanted`
    rows in all; there are `certify`, which may be `enough`. `variants` are made, others are `left` out with a reason.
    """

    certify: int
    needed: int
    wanted: int
    variants: tuple[str, ...]
    left: dict[str, str]
    enough: bool


class Sensitivity(msgspec.Struct):
    """Damage by node: root mean square error of the outputs over their spread; `graph` is the SHA-256 of fp32.

    It is only a hint: a graph that is built on it is proven on other rows. So it may be kept when weights change, and
    is dropped for nodes that are gone.
    """

    graph: str
    damage: dict[str, float] = {}

    @property
    def ranking(self) -> list[str]:
        """Return the measured nodes, the least damaging first."""
        return sorted(self.damage, key=lambda name: (self.damage[name], name))


@dataclass(frozen=True)
class Measured:
    """What was measured of one candidate; it may serve, in batches of at most `max_batch` rows, if `refusal` is empty.

    `select`, `risk`, `likely_bound` and `deviation` are of the select rows; `paired` and `closeness` of the
    certify rows, once it was certified or refused there. `moves` says that answers move with the batch, so that
    rows must be served alone. Deviations and shifts are in spreads of torch's outputs. `proof` is what it may serve by:
    certified, parity or unproven. `fusion` counts the nodes in 8 bits or fewer, those in integer kernels, and the
    blocks that are one kernel; none for other providers than the CPU's own.
    """

    variant: str
    megabytes: float
    select: PairedStatistics | None
    risk: float
    likely_bound: float
    paired: PairedStatistics | None
    closeness: OutputSimilarity | None
    deviation: float
    batch_shift: float
    moves: bool
    golden_deviation: float
    max_batch: int
    note: str
    excluded: tuple[str, ...]
    refusal: str
    proof: str = ""
    fusion: Fusion = NOT_QUANTISED


@dataclass(frozen=True)
class Certified:
    """Tests of this export on the certify rows, those made on the same rows before, and the scales of errors."""

    tests: list[CertifyTest]
    earlier: list[CertifyTest]
    spreads: list[float]


@dataclass(frozen=True)
class DriftProfile:
    """What live rows are compared with: `certify` rows, or queries as `unit` says; nothing if these are below `needed`.

    About `wanted` in all leave as many after the split.
    """

    certify: int
    unit: str
    needed: int
    wanted: int


@dataclass(frozen=True)
class Candidate:
    """One variant of the graph as a file; `excluded` names the nodes it left in float."""

    variant: str
    path: Path
    excluded: tuple[str, ...] = ()
    note: str = ""
    fusion: Fusion = NOT_QUANTISED
