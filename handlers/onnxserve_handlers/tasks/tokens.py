"""Tokens: a prediction is the spans of the text that the tags of its tokens make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, cast

import msgspec
import numpy as np
import numpy.typing as npt

from ..outputs import Array, Outputs
from ..signature import Schema, object_schema
from . import OutputOptions, TaskHooks, count_measure, f1, field_of, first_output
from .classification import DIGITS, probabilities

SINGLE, LAST, FIRST = "SU", "EL", "B"  # prefixes of the schemes IOBES and BILOU
PREFIXES = {*SINGLE, *LAST, *FIRST, "I", "M"}
Scores = npt.NDArray[np.float64]


class TokensOptions(OutputOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What turns the tags of tokens into spans."""

    task: Literal["tokens"] = "tokens"
    """The first output has a number for each token's tags, shape (rows, tokens, labels); a prediction is spans."""
    labels: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """Tags in the order of the graph's outputs, such as `O`, `B-PER`, `I-PER`; prefixes may be B, I, E and S."""
    outside: str = "O"
    """Tag of a token that belongs to no span."""
    aggregation: Literal["none", "simple", "first", "max"] = "simple"
    """How tags make spans: `none` gives a span for each tagged token, `simple` joins neighbours of one kind.

    `first` and `max` give each word one tag before that: its first token's, or that of its surest token.
    """
    activation: Literal["auto", "softmax", "none"] = "auto"
    """What makes scores of the outputs, as for a classification."""

    logit_activation: ClassVar[str] = "softmax"


class Unit(NamedTuple):
    """A token or a word: from `start` to `end` of the row, its tag and the tag's score."""

    start: int
    end: int
    tag: str
    score: float


class Span(NamedTuple):
    """A part of the row, what it is, and the mean score of its units."""

    label: str
    start: int
    end: int
    score: float = 1.0

    @property
    def key(self) -> tuple[str, int, int]:
        """What makes two spans the same."""
        return self.label, self.start, self.end


class Tokens(TaskHooks):
    """The spans of each row."""

    output_options = TokensOptions
    quality_name = "F1 of the spans"
    agreement_name = "F1 of the spans"
    reads_offsets = True

    @property
    def output(self) -> TokensOptions:
        """The task's part of the signature."""
        return cast("TokensOptions", self.signature.output)

    @cached_property
    def entities(self) -> frozenset[str]:
        """The labels that spans may have."""
        output = self.output
        if output.aggregation == "none":
            return frozenset(output.labels) - {output.outside}
        return frozenset(split_tag(tag)[1] for tag in output.labels if tag != output.outside)

    def outputs_fault(self, outputs: Mapping[str, Array]) -> str:
        """Return what is wrong with the first output's shape, (rows, tokens, labels)."""
        count, shape = len(self.output.labels), first_output(outputs).shape
        good = len(shape) == 3 and shape[2] == count
        return "" if good else f"the first output has shape {shape}, (rows, tokens, {count}) is expected for the labels"

    def predictions(self, outputs: Outputs, rows: Sequence[Any] | None) -> list[Any]:
        """Return `{"spans": [{"label", "start", "end", "text", "score"}]}` per row.

        Places are characters of the request's text, or words of a row that is words. Where the client sent tensors,
        they count the row's own tokens, without its padding, and spans have no text.
        """
        if rows is None:
            return self.proof_predictions(outputs, None)
        return [
            {"spans": [span_fields(span, row.cut) for span in self.spans(outputs, index, row.places())]}
            for index, row in enumerate(rows)
        ]

    def proof_predictions(self, outputs: Outputs, origins: Sequence[Any] | None) -> list[Any]:
        """Return each row's spans without their text; without origins they are of tokens, special ones too."""
        places = origins or [None] * len(first_output(outputs))
        return [
            {"spans": [span_fields(span, None) for span in self.spans(outputs, index, own)]}
            for index, own in enumerate(places)
        ]

    def prediction_schema(self) -> Schema:
        """Return the schema of an object with a list of spans."""
        place: Schema = {"type": "integer", "minimum": 0}
        fields: Schema = {
            "label": {"type": "string", "enum": sorted(self.entities)},
            "start": place,
            "end": place,
            "text": {"type": "string"},
            "score": {"type": "number", "minimum": 0, "maximum": 1},
        }
        span = object_schema(fields, ["label", "start", "end", "score"])
        return object_schema({"spans": {"type": "array", "items": span}}, ["spans"])

    def label(self, prediction: Any) -> str | None:
        """Return the label of the first span, None where there is none."""
        spans = field_of(prediction, "spans")
        return str(spans[0]["label"]) if isinstance(spans, list) and spans else None

    def score(self, prediction: Any) -> float | None:
        """Return the mean score of the spans, 0 where there is none: a version that finds nothing must be seen."""
        spans = field_of(prediction, "spans")
        if not isinstance(spans, list):
            return None
        return float(np.mean([span["score"] for span in spans])) if spans else 0.0

    def prediction_measures(self, predictions: Sequence[Any]) -> Mapping[str, Array]:
        """Return the scores, and the numbers of spans."""
        return {**super().prediction_measures(predictions), **count_measure(predictions, "spans")}

    def unknown_labels(self, label: Any) -> list[str]:
        """Return the tags or the spans' labels that the model doesn't have."""
        entries = label if isinstance(label, list | tuple) else []
        tags = {entry for entry in entries if isinstance(entry, str)} - {*self.output.labels}
        spans = {str(entry.get("label")) for entry in entries if isinstance(entry, dict)} - self.entities
        return sorted(tags | spans)

    def label_fault(self, label: Any) -> str:
        """Return why a row's label is neither a list of spans nor a tag for each word."""
        fix = 'give a list of {"label": …, "start": …, "end": …}, or a tag for each word by its name, not its number'
        if not isinstance(label, list | tuple):
            return fix
        try:
            self._truth(label)
        except (TypeError, KeyError, ValueError):
            return fix
        return ""

    def quality(
        self, outputs: Outputs, labels: Sequence[Any], origins: Sequence[Any] | None = None
    ) -> npt.NDArray[np.float64]:
        """Return the F1 of each row's spans beside its label, a list of spans or a tag for each word; shape (rows,)."""
        truth = [self._truth(label) for label in labels]
        return np.array(
            [
                f1_of_spans(span_keys(self.spans(outputs, i, origins and origins[i])), truth[i])
                for i in range(len(truth))
            ]
        )

    def agreement(self, outputs: Outputs, reference: Outputs) -> npt.NDArray[np.float64]:
        """Return the F1 of each row's spans of tokens beside the source's, shape (rows,)."""
        count = len(first_output(outputs))
        return np.array(
            [f1_of_spans(span_keys(self.spans(outputs, i)), span_keys(self.spans(reference, i))) for i in range(count)]
        )

    def changes(self, outputs: Outputs, reference: Outputs) -> npt.NDArray[np.bool_]:
        """Return where a span of tokens appears, disappears or gets another label, shape (rows,)."""
        return np.asarray(self.agreement(outputs, reference) < 1)

    def spans(self, outputs: Outputs, index: int, places: Sequence[Any] | None = None) -> list[Span]:
        """Return the spans of one row; `places` are its tokens' `(start, end, word)`, None where a token has none.

        Without `places`, a span is of tokens.
        """
        output = self.output
        first = next(iter(outputs.row(index).values()))
        scores = probabilities(first, "none" if output.activation == "none" else "softmax")
        known = [(token, token + 1, token) for token in range(len(scores))] if places is None else places
        units = units_of(scores, known, output.labels, output.aggregation)
        return join_units(units, output.outside, alone=output.aggregation == "none")

    def _truth(self, label: Any) -> set[tuple[str, int, int]]:
        if all(isinstance(entry, str) for entry in label):
            units = [Unit(place, place + 1, tag, 1.0) for place, tag in enumerate(label)]
            return span_keys(join_units(units, self.output.outside, alone=self.output.aggregation == "none"))
        return {(str(entry["label"]), int(entry["start"]), int(entry["end"])) for entry in label}


def units_of(scores: Scores, places: Sequence[Any], labels: Sequence[str], aggregation: str) -> list[Unit]:
    """Return the tokens that have a place, or their words, with their tags; `scores` are (tokens, labels)."""
    best, top = scores.argmax(axis=1).tolist(), scores.max(axis=1).tolist()
    tokens = [
        (place[2], Unit(place[0], place[1], labels[tag], score))
        for place, tag, score in zip(places, best, top, strict=True)
        if place is not None
    ]
    if aggregation not in ("first", "max"):
        return [unit for _, unit in tokens]
    words = [[unit for _, unit in group] for _, group in groupby(tokens, key=lambda token: token[0])]
    return [word_unit(units, aggregation) for units in words]


def word_unit(units: Sequence[Unit], aggregation: str) -> Unit:
    """Return a word with the tag of its first token, or of the token with the highest score."""
    chosen = units[0] if aggregation == "first" else max(units, key=lambda unit: unit.score)
    return Unit(units[0].start, units[-1].end, chosen.tag, chosen.score)


def join_units(units: Iterable[Unit], outside: str, *, alone: bool = False) -> list[Span]:
    """Return the spans of neighbours with one label; `alone` keeps each unit for itself, with its whole tag."""
    if alone:
        return [Span(unit.tag, unit.start, unit.end, unit.score) for unit in units if unit.tag != outside]
    groups, open_label = list[tuple[str, list[Unit]]](), ""
    for unit in units:
        if unit.tag == outside:
            open_label = ""
            continue
        prefix, label = split_tag(unit.tag)
        if label != open_label or prefix in (*FIRST, *SINGLE):
            groups.append((label, []))
        groups[-1][1].append(unit)
        open_label = "" if prefix in (*LAST, *SINGLE) else label
    return [
        Span(label, parts[0].start, parts[-1].end, float(np.mean([unit.score for unit in parts])))
        for label, parts in groups
    ]


def split_tag(tag: str) -> tuple[str, str]:
    """Return prefix and label of a tag, `B` and `PER` for `B-PER`; without a known prefix the tag is the label."""
    prefix, dash, label = tag.partition("-")
    return (prefix, label) if dash and prefix in PREFIXES else ("", tag)


def span_fields(span: Span, cut: Callable[[int, int], str] | None) -> dict[str, Any]:
    """Return a span as JSON; `cut` gives its text."""
    text = {} if cut is None else {"text": cut(span.start, span.end)}
    score = round(span.score, DIGITS)
    return {"label": span.label, "start": span.start, "end": span.end, **text, "score": score}


def span_keys(spans: Iterable[Span]) -> set[tuple[str, int, int]]:
    """Return the spans without their scores."""
    return {span.key for span in spans}


def f1_of_spans(spans: set[Any], truth: set[Any]) -> float:
    """Return the F1 of one row's spans without their scores."""
    return float(f1(len(spans & truth), len(spans) + len(truth)))
