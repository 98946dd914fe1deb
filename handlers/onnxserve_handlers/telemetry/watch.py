"""Everything that looks at batches and changes nothing: spans, histograms, the prediction log, drift."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import RequestError, stack_of
from ..hooks import Hooks
from ..request import Asked, error_of
from ..response import Answer
from .alarms import drift
from .drift import Drift
from .metrics import OK, Clock, Metrics, metrics, waited
from .prediction_log import Journal, journal
from .spans import Spans, spans

log = logging.getLogger(__name__)
Results = Sequence[Answer | RequestError | None]


class Watch:
    """What the environment asks to be watched of one handler."""

    def __init__(
        self,
        handler: Hooks,
        spans: Spans | None = None,
        metrics: Metrics | None = None,
        journal: Journal | None = None,
        drift: Drift | None = None,
    ) -> None:
        self._handler = handler
        self.spans, self.metrics, self.journal, self.drift = spans, metrics, journal, drift
        self.clock = Clock()
        self.predictions: list[Any] = []  # of the batch, as far as they were made
        self._start_ns = 0

    def begin(self) -> None:
        """A batch came."""
        self._start_ns = time.time_ns()
        self.clock, self.predictions = Clock(), []

    def end(self, asked: Sequence[Asked], results: Results, context: Any) -> None:
        """It was answered; nothing here may cost a request its answer."""
        self.clock.lap("postprocess")
        try:
            self._end(asked, results, context)
        except Exception as error:  # noqa: BLE001 - it is logged
            log.error("a batch could not be watched\n%s", stack_of(error))  # noqa: TRY400 - without the message

    def _end(self, asked: Sequence[Asked], results: Results, context: Any) -> None:
        if self.metrics is not None:
            self._count(self.metrics, asked, results, context.get_all_request_header(0) or {})
        if self.drift is not None and self.drift.due() and (rows := rows_of(asked)):
            self.drift.see(rows, self.predictions, self._handler)
        if self.spans is not None or self.journal is not None:
            headers = [context.get_all_request_header(index) or {} for index in range(len(asked))]
            if self.spans is not None:
                self.spans.record(headers, self._start_ns, time.time_ns(), self.clock.took)
            if self.journal is not None:
                self.journal.see(asked, results, headers)

    def _count(self, metrics: Metrics, asked: Sequence[Asked], results: Results, first: Mapping[str, str]) -> None:
        took = self.clock.took
        if (queue := waited(first, self._start_ns / 1e9)) is not None:
            took["queue"] = queue
        bad = [kind for one, result in zip(asked, results, strict=True) if (kind := outcome(one, result)) != OK]
        lengths = None
        if metrics.padded:
            rows = rows_of(asked)
            lengths = self._handler.lengths(rows) if rows else None
            metrics.padded = lengths is not None or not rows  # rows that don't pad each other never will
        metrics.batch(took, len(asked), sum(one.count for one in asked if one.error is None), lengths)
        metrics.outcomes(len(asked) - len(bad), bad)


def rows_of(asked: Sequence[Asked]) -> list[Any]:
    """Checked rows of the requests that none of the earlier stages refused."""
    return [row for one in asked if one.error is None for row in one.rows or ()]


def outcome(one: Asked, result: Answer | RequestError | None) -> str:
    """`ok`, or the kind of the error that a client got."""
    if one.error is None and type(result) is Answer:
        return result.fault or OK
    error = error_of(one, result)
    return error.kind if error else OK


def watch(handler: Hooks, provider: str) -> Watch | None:
    """What the environment asks for; None where that is nothing."""
    signature = handler.signature
    found = Watch(
        handler,
        spans(signature, provider),
        metrics(signature, provider, handler.threads),
        journal(signature),
        drift(handler.folder, signature),
    )
    return found if found.spans or found.metrics or found.journal or found.drift else None
