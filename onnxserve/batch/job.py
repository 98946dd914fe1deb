"""A job: everything that decides a row of its output."""

from __future__ import annotations

import msgspec

from .part import Part, Selection, Source

PLAN = "plan.json"


class Model(msgspec.Struct, frozen=True):
    """The archive."""

    path: str
    sha256: str
    name: str
    version: str
    labels: tuple[str, ...]
    columns: tuple[str, ...] = ()
    activation: str = "softmax"  # what makes scores of outputs; none where they are scores already
    types: dict[str, str] = {}  # of the columns, where not all are numbers


class Shape(msgspec.Struct, frozen=True):
    """Columns of the output beside prediction and score, and its partitions."""

    scores: bool = False  # of every label
    outputs: bool = False  # the graph's first output as it is
    partition: tuple[str, ...] = ()


class Remote(msgspec.Struct, frozen=True):
    """A running server that answers in place of the archive's handler."""

    url: str
    concurrency: int = 8
    tries: int = 6
    ca: str = ""


class FeatureLookup(msgspec.Struct, frozen=True):
    """A feature store that completes each row, as of the row's time."""

    repo: str
    state: str
    service: str
    entities: tuple[str, ...]
    columns: tuple[str, ...]
    timestamp: str
    defaults: dict[str, bool | float | str]  # empty: a row with an unknown feature is a bad row


class Machine(msgspec.Struct, frozen=True):
    """How a job uses this machine; no row of the output depends on it."""

    workers: int
    threads: int = 1
    provider: str = "auto"
    gpus: int = 0


class Job(msgspec.Struct, frozen=True, rename={"selection": "wanted"}):
    """One job, kept beside the output, so that a job that was stopped resumes with the same parts."""

    model: Model
    sources: tuple[Source, ...]
    selection: Selection
    shape: Shape
    limit: int = 0
    batch: int = 0
    part_rows: int = 0
    remote: Remote | None = None
    lookup: FeatureLookup | None = None
    skipped: tuple[str, ...] = ()  # files of an unknown format; a change of these doesn't make it another job
    redact: bool = False  # bad rows are recorded without their values


class Plan(msgspec.Struct, frozen=True):
    """A job and its parts."""

    job: Job
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """The rows of all parts."""
        return sum(part.rows for part in self.parts)


def differences(job: Job, other: Job) -> list[str]:
    """Return a line for each field that differs."""
    return [
        f"{name}: {_short(getattr(job, name))}, was {_short(getattr(other, name))}"
        for name in job.__struct_fields__
        if name != "skipped" and getattr(job, name) != getattr(other, name)
    ]


def _short(value: object, most: int = 120) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= most else text[: most - 1] + "…"
