"""Calls to one model as steps, which both clients take: predictions of rows, and tensors for tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np

from .answers import OK, Ask, RequestSize, answer_rows, expected_form, raise_first, typed, with_row_errors
from .errors import RequestFailed
from .exchange import Deadline, Exchange, Outgoing, Steps
from .fault import read_fault, request_failed
from .forms import Answer, CallForm, JsonForm, TensorForm, model_path
from .predictions import read_prediction
from .retry import with_retries
from .rows import Array, Rows, check_rows, rows_as_tensors
from .settings import Settings
from .tensors import Tensors, join_rows

OPENAPI = "/openapi.json"
P = TypeVar("P")
Names = Sequence[str]


class TensorEntry(msgspec.Struct):
    """An input of the metadata."""

    name: str


class Metadata(msgspec.Struct):
    """The part of a model's metadata that matters here."""

    inputs: list[TensorEntry]


def send(settings: Settings, deadline: Deadline, outgoing: Outgoing) -> Steps[Exchange]:
    """Return a request as the settings' client sends it, and its answer; it is tried again as they say."""
    addressed = settings.address_request(outgoing)
    incoming = yield from with_retries(addressed, deadline, settings.retry)
    return Exchange(addressed, incoming)


def fetch(path: str, ask: Ask) -> Steps[bytes]:
    """Return what lies under a path; RequestFailed if the server has nothing there."""
    outgoing, incoming = yield from ask(Outgoing(path, method="GET"))
    if incoming.status != OK:
        raise request_failed(read_fault(incoming), outgoing, incoming)
    return incoming.body


@dataclass(frozen=True)
class Calls(Generic[P]):
    """Calls to a model, at the version that the gateway chooses unless `version` names one.

    `parameters` are the task's, such as `top_k`. `convert` makes a prediction of its JSON; by default of the type of
    its task.
    """

    settings: Settings
    name: str
    version: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    convert: Callable[[Any], P] = read_prediction

    @classmethod
    def of(
        cls,
        settings: Settings,
        name: str,
        as_type: type[Any] | None = None,
        *,
        version: str = "",
        parameters: Mapping[str, Any] | None = None,
        rows_per_request: int | None = None,
    ) -> Calls[Any]:
        """Return calls whose predictions are of a type, None for that of the model's task."""
        convert = read_prediction if as_type is None else partial(msgspec.convert, type=as_type)
        settings = replace(settings, rows_per_request=rows_per_request or settings.rows_per_request)
        return Calls(settings, name, version, parameters or {}, convert)

    def predictions(self, rows: Rows, deadline: Deadline, size: RequestSize, first_row: int = 0) -> Steps[list[Any]]:
        """Return a prediction or a RowError for each row."""
        check_rows(rows)
        ask = partial(self._ask, deadline)
        answers: list[Any]
        if isinstance(rows, Sequence) and not self.settings.grpc:
            answers = yield from answer_rows(self._json_form(), rows, size, ask, first_row)
        elif len(rows) == 0:
            answers = []
        else:
            tensors = yield from self._tensors(rows, ask)
            answers = yield from answer_rows(self._tensor_form(), tensors, size, ask, first_row)
        return typed(answers, self.convert, self.name)

    def whole_answer(self, rows: Sequence[Any], deadline: Deadline) -> Steps[Answer]:
        """Return the answer to one request with all rows, which one version gives; RowError for the first bad row."""
        form = self._json_form()
        outgoing, incoming = yield from self._ask(deadline, form.encode(rows))
        if incoming.status != OK:
            fault = read_fault(incoming)
            raise fault.row_error(fault.row) if fault.is_of_rows else request_failed(fault, outgoing, incoming)
        with expected_form(outgoing, incoming):
            answer = form.read(incoming, len(rows))
        raise_first(with_row_errors(answer.predictions))
        return answer

    def prediction(self, row: Any, deadline: Deadline) -> Steps[P]:
        """Return the prediction of one row; raises RowError."""
        answers = yield from self.predictions([row], deadline, self.request_size())
        raise_first(answers)
        prediction: P = answers[0]
        return prediction

    def outputs(self, inputs: Tensors, outputs: Names, deadline: Deadline) -> Steps[dict[str, Array]]:
        """Return the outputs by name for tensors by name; shapes (rows, ...).

        Raises RowError for a row that has none, since tensors have no place for it, and ValueError for no rows.
        """
        form = replace(self._tensor_form(), outputs=outputs, whole=True)
        arrays = {name: np.asarray(array) for name, array in inputs.items()}
        answers = yield from answer_rows(form, arrays, self.request_size(), partial(self._ask, deadline))
        raise_first(answers)
        if not answers:
            raise ValueError("there are no rows: outputs without rows have no shape that is known")
        return join_rows(answers)

    def request_size(self) -> RequestSize:
        """Return the size of a call's first requests."""
        return RequestSize(self.settings.rows_per_request)

    def deadline(self, timeout_s: float | None) -> Deadline:
        """Return the end of a call that begins now."""
        return Deadline(self.settings.timeout_s if timeout_s is None else timeout_s)

    def _ask(self, deadline: Deadline, outgoing: Outgoing) -> Steps[Exchange]:
        return send(self.settings, deadline, outgoing)

    def _json_form(self) -> JsonForm:
        return JsonForm(self.name, self.version, self.parameters)

    def _tensor_form(self) -> TensorForm:
        kind = CallForm if self.settings.grpc else TensorForm
        return kind(self.name, self.version, self.parameters)

    def _tensors(self, rows: Rows, ask: Ask) -> Steps[Tensors]:
        """Return rows as tensors by name; an array alone is the model's only input."""
        tensors = rows_as_tensors(rows) if isinstance(rows, Sequence) else rows
        if isinstance(tensors, Mapping):
            return {name: np.asarray(array) for name, array in tensors.items()}
        return {(yield from self._only_input(ask)): tensors}

    def _only_input(self, ask: Ask) -> Steps[str]:
        document = yield from fetch(model_path(self.name, self.version), ask)
        names = [tensor.name for tensor in msgspec.json.decode(document, type=Metadata).inputs]
        if len(names) != 1:
            remedy = "give arrays by name: {name: array}"
            raise RequestFailed(f"the model has the inputs {', '.join(names)}", where=self.name, remedy=remedy)
        return names[0]
