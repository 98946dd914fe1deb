"""Step rows: read labelled rows, and split them into the disjoint subsets fit, calibrate, select and certify."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from onnxserve.definition import Definition
from onnxserve.errors import DefinitionError
from onnxserve_handlers.tasks import TaskHooks

from .acceptance import Basis, budget_of, claim_of, form_of
from .criterion import ACCURACY, EMBEDDING
from .export_state import ExportState
from .flip_estimate import mean_rows_needed
from .golden import read_golden, sampled_golden
from .historical_features import join_features
from .plan import DRAFT_ROWS, check_plan, planned
from .rankings import rankings
from .records import Split
from .row_sources import read_rows
from .served_task import served_task
from .step import Step
from .subset import FRACTIONS, KEY, Row, spool

# fit trains, calibrate gives the ranges of int8, select is what the search looks at, certify is for the proof alone.
SEED = "onnxserve-split-2"
JUDGED = ("select", "certify")  # subsets on which graphs are compared with their source


class Assignment:
    """Assigns each row to a subset by the hash of seed and value, so that added rows move no others.

    Equal values are kept once, since a copy in two subsets would make the proof circular. `query_of` gives the query of
    a row's value, whose rows stay together; None for a row that is judged by itself. `queries` has the number of each
    subset's queries, of which such a row is one.
    """

    def __init__(self, rows: Iterable[Row], query_of: Callable[[Any], str | None] = lambda _: None) -> None:
        self._rows, self._query_of = rows, query_of
        self._seen: set[bytes] = set()
        self._places: set[bytes] = set()
        self.queries = dict.fromkeys(FRACTIONS, 0)
        self.duplicates = 0
        self.unlabelled = 0

    def __iter__(self) -> Iterator[tuple[str, Row]]:
        for row in self._rows:
            digest = digest_of(row.value)
            if digest[:KEY] in self._seen:
                self.duplicates += 1
                continue
            self._seen.add(digest[:KEY])
            self.unlabelled += row.label is None
            query = self._query_of(row.value)
            place = digest if query is None else digest_of(query)
            subset = subset_at(int.from_bytes(place[-8:]) / 2**64)
            if query is None or place[:KEY] not in self._places:
                self.queries[subset] += 1
            if query is not None:
                self._places.add(place[:KEY])
            yield subset, row


def digest_of(value: Any) -> bytes:
    """Return the hash of the seed and a value."""
    return hashlib.sha256(SEED.encode() + msgspec.json.encode(value)).digest()


def subset_at(place: float) -> str:
    """Return the subset that a place between 0 and 1 falls in."""
    for name, subset in FRACTIONS.items():
        if place < subset:
            return name
        place -= subset
    return "certify"


def split_rows(rows: Iterable[Row], folder: Path, query_of: Callable[[Any], str | None] = lambda _: None) -> Split:
    """Split rows in one pass, into files in `folder`; queries are counted where several rows have the same."""
    assigned = Assignment(rows, query_of)
    subsets = spool(assigned, FRACTIONS, folder, by_size=JUDGED)
    fit, calibrate, select, certify = (subsets[name] for name in FRACTIONS)
    queries = None if assigned.queries == {name: len(rows) for name, rows in subsets.items()} else assigned.queries
    return Split(fit, calibrate, select, certify, assigned.duplicates, assigned.unlabelled, queries=queries)


def with_rankings(split: Split, definition: Definition, hooks: TaskHooks) -> Split:
    """Return the split with the number of rankings that rows make, where labels are to be judged by them.

    Labels of which most are of one row each tell no rankings of vectors.
    """
    claim = claim_of(definition, Basis(split.labelled, hooks))
    form, quantise = form_of(definition, claim, hooks), definition.quantise
    if quantise.metric or not hooks.ranking_name:
        return split
    judged = form == definition.output.task and (claim == ACCURACY or form == EMBEDDING)
    if split.labelled and judged and quantise.max_disagreement is None:
        counts = {name: len(rankings(getattr(split, name), hooks, form)) for name in JUDGED}
        enough = min(len(split.certify) // 4, mean_rows_needed(budget_of(definition))) if form == EMBEDDING else 1
        if counts["certify"] >= max(1, enough):
            return replace(split, ranks=True, queries=split.queries if form == EMBEDDING else counts)
    return split


class CheckedRows:
    """The definition's rows, one by one; `unknown` and `faulty` count bad labels. None is no label."""

    def __init__(self, pairs: Iterable[tuple[Any, Any]], task: str, hooks: TaskHooks, where: str) -> None:
        self._pairs, self._task, self._hooks, self._where = pairs, task, hooks, where
        self.unknown: Counter[str] = Counter()
        self.faulty: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Row]:
        task = self._hooks
        for value, label in self._pairs:
            fault = "" if label is None else task.label_fault(label)
            unknown = [] if fault or label is None else task.unknown_labels(label)
            self.unknown.update(unknown)
            self.faulty.update([fault] if fault else [])
            if not (fault or unknown):
                yield Row(value, label)

    def faults(self) -> Iterator[DefinitionError]:
        """Yield a fault for each kind of label that can't be compared with outputs, and for each unknown label."""
        for fault, count in self.faulty.most_common():
            rows = "1 row has a label" if count == 1 else f"{count} rows have labels"
            what = f"{rows} that {self._task} can't compare with outputs"
            yield DefinitionError(what, where=self._where, fix=fault)
        for label, count in self.unknown.most_common():
            rows = "1 row has" if count == 1 else f"{count} rows have"
            what, fix = f"{rows} the label {label!r}, not among `labels`", "add it to `labels`, or correct the rows"
            yield DefinitionError(what, where=self._where, fix=fix)


def read_pairs(state: ExportState) -> Iterable[tuple[Any, Any]]:
    """Return the definition's rows; a draft takes the first ones only."""
    definition = state.definition
    pairs: Iterable[tuple[Any, Any]] = read_rows(state)
    if definition.features:
        pairs, state.key_types = join_features(pairs, definition, state.scratch / "features")
    return islice(pairs, DRAFT_ROWS) if state.options.draft else pairs


def call(state: ExportState) -> None:
    """Read and split the rows, and say what they allow; faults are collected, as is that they allow no archive."""
    state.task = hooks = served_task(state.definition, state.scratch / "handler")
    golden = state.faults.attempt(lambda: read_golden(state.definition, state.faults, hooks))
    rows = CheckedRows(read_pairs(state), state.definition.output.task, hooks, state.rows_place)
    split = split_rows(rows, state.scratch / "rows", hooks.query_of)
    state.split = with_rankings(split, state.definition, hooks)
    for fault in rows.faults():
        state.faults.add(fault)
    if golden is not None:
        state.golden = golden or sampled_golden(state.split)
    state.plan = planned(state)
    check_plan(state)


STEP = Step("rows", ("sources", "row_files"), ("split", "plan", "task"), call, collects=True)
