"""The form of an archive's evidence, as far as words, tables and charts are made of it.

A field that isn't required may be missing, since earlier releases had fewer. A number may be null: JSON has none that
isn't finite.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from onnxserve.errors import ArchiveError

Number = float | None | UnsetType
Count = int | UnsetType
Text = str | UnsetType


class Paired(msgspec.Struct):
    """A comparison with the source; each number is a share."""

    accuracy: Number = UNSET
    reference_accuracy: Number = UNSET
    drop: Number = UNSET
    bound: Number = UNSET
    flips: Number = UNSET
    ranking: Number = UNSET
    ranking_drop: Number = UNSET
    ranking_bound: Number = UNSET


class RowParity(msgspec.Struct):
    """How many rows were answered by the graph and its source, and the largest deviation, in spreads."""

    rows: int
    golden: int
    generated: int
    deviation: float | None


class DriftProfile(msgspec.Struct):
    """How many rows the profile of the proof has, needs, and should have."""

    certify: int
    needed: int
    wanted: int
    unit: str


class SummaryForm(Paired):
    """What is claimed, and of which variant."""

    proof: Text = UNSET
    variant: Text = UNSET
    source: Text = UNSET
    unproven: Text = UNSET
    claim: Text = UNSET
    task: Text = UNSET
    measure: Text = UNSET
    unit: Text = UNSET
    model_sha256: Text = UNSET
    budget: Number = UNSET
    tolerance: Number = UNSET
    worst_parity: Number = UNSET
    rows: Count = UNSET
    draft: bool | UnsetType = UNSET
    unseen_labels: list[str] | UnsetType = UNSET
    row_parity: RowParity | UnsetType | None = UNSET
    drift_profile: DriftProfile | UnsetType | None = UNSET


class Variant(msgspec.Struct):
    """A variant that was tried: what it lost on the rows of the certificate, and on those that chose it."""

    variant: str
    megabytes: Number = UNSET
    moves: bool | UnsetType = UNSET
    refusal: Text = UNSET
    paired: Paired | UnsetType | None = UNSET
    select: Paired | UnsetType | None = UNSET


class Parity(msgspec.Struct):
    """How far the traced graph is from its source for a size of batch, in spreads of the outputs."""

    group: str
    deviation: float | None


class EvidenceForm(msgspec.Struct):
    """The parts of `evidence.json` that are drawn."""

    summary: SummaryForm
    variants: list[Variant] | UnsetType = UNSET
    parity: list[Parity] | UnsetType = UNSET
    refused: dict[str, str] | UnsetType = UNSET


class EarlierTest(msgspec.Struct):
    """A test of an earlier export on the same rows."""

    refused: bool


class Certified(msgspec.Struct):
    """The tests that made the certificate."""

    earlier: list[EarlierTest] | UnsetType = UNSET


class Sensitivity(msgspec.Struct):
    """The damage that 8 bits do, by node, in spreads of the outputs."""

    damage: dict[str, float | None]


class ExplainedForm(EvidenceForm):
    """The parts of `evidence.json` that words are made of: those that are drawn, and how the choice was made."""

    certify: Certified | UnsetType | None = UNSET
    sensitivity: Sensitivity | UnsetType | None = UNSET


class Setting(msgspec.Struct):
    """How a graph runs: threads a session, rows a batch."""

    threads: int
    batch: int


class Timing(Setting):
    """The median time of a row of a variant, or of torch, in ms."""

    variant: str
    ms: float


class TimedForm(msgspec.Struct):
    """What the file beside an archive has besides: times of the machine that exported it."""

    summary: SummaryForm
    setting: Setting | UnsetType = msgspec.field(name="served", default=UNSET)
    timings: list[Timing] = []


def check_form(evidence: Any, where: str) -> None:
    """Raise ArchiveError, which names the first part that has another form."""
    try:
        msgspec.convert(evidence, ExplainedForm)
    except msgspec.ValidationError as error:
        fix = "it may be of a later release: upgrade onnxserve, or export the model again"
        raise ArchiveError(f"its evidence isn't as an export writes it: {error}", where=where, fix=fix) from error
