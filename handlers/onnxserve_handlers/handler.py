"""The batch loop that every handler shares: read -> check -> tensors -> run -> answer."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from .answers import TORCHSERVES, answers, response_limit
from .errors import InternalError, RequestError, classify, combined, stack_of
from .hooks import Hooks, Outputs
from .metadata import describe
from .protocols import negotiation
from .protocols.body import Body, read_body
from .protocols.limits import DIGITS, TOP, limited_form
from .request import Asked, answered, check_deadline, error_of, failed
from .response import PLAIN, Answer, refusal
from .runtime.batching import buckets, chunks, distinct, isolate
from .runtime.gpu import read_gpu, tensorrt_shapes
from .runtime.session import Provider, Session, choose_provider, intra_op_threads
from .signature import read_signature
from .telemetry.observation import OBSERVE, ROWS, Copied, copied_rows, observed_form
from .telemetry.watch import Watch, watch
from .trust.digests import check_digests
from .trust.encryption import read_model
from .trust.golden import check_golden, read_golden
from .trust.signing import check_signature

log = logging.getLogger(__name__)


class Handler(Hooks):
    """TorchServe's handler API (`initialize`, `handle`) over rows that can't harm each other."""

    watch: Watch | None = None
    largest_answer = TORCHSERVES  # bytes
    deduplicate = True  # off where few rows stand for many, as in measurements

    def read(self, body: Body) -> Asked:
        """Bytes -> instances, or tensors, and the form of the answer."""
        return negotiation.read(self, body)

    # TorchServe's API ------------------------------------------------------

    def initialize(self, context: Any) -> None:
        """Load, warm up and prove; any failure here keeps the worker from becoming ready."""
        properties = context.system_properties
        settings = getattr(context, "model_yaml_config", None) or {}
        self.settings = mine = settings.get("handler") or {}
        self.threads = intra_op_threads(int(settings.get("maxWorkers", 1)), int(mine.get("threads", 0)))
        self.deduplicate = bool(mine.get("deduplicate", True))
        self.largest_answer = response_limit(context)
        os.environ.setdefault("RAYON_NUM_THREADS", str(self.threads))  # the tokenizer keeps to the budget too
        self.open(Path(properties["model_dir"]))
        if not getattr(context, "verified", False):  # by our worker, before it imported this
            check_digests(self.folder)
            check_signature(self.folder)
        provider = self._provider(mine, properties.get("gpu_id"))
        self.session = Session(read_model(self.folder), provider, self.threads, self.signature.max_batch)
        self.watch = watch(self, provider.name)
        golden = read_golden(self.folder)
        self.session.warm(self.tensors([self.check(golden.instances[0], "golden")]))
        self.golden_deviation = check_golden(golden, self.outputs)
        what = (self.signature.model, self.signature.version, provider.name, provider.reason, self.session.placement())
        log.info("%s %s ready on %s (%s), nodes: %s", *what)

    def _provider(self, settings: Mapping[str, Any], gpu_id: int | None) -> Provider:
        found = choose_provider(str(settings.get("provider", "auto")), gpu_id, ort.get_available_providers())
        shapes = tensorrt_shapes(self.signature.inputs, self.signature.max_batch, self.free_axes())
        return replace(found, gpu=read_gpu(settings), variant=self.signature.variant, shapes=shapes)

    def open(self, folder: Path) -> None:
        """Read the signature and prepare the stages before the session; enough for `tensors`."""
        self.folder = folder
        self.signature = read_signature(folder)
        self.prepare()

    def handle(self, data: Sequence[dict[str, Any]], context: Any) -> list[bytes]:
        """One answer for each request, in order, with its own status. Never raises."""
        if self.watch is not None:
            self.watch.begin()
        asked = [self._read(item, context, index) for index, item in enumerate(data)]
        self._check(asked)
        good = [one for one in asked if not one.ended]
        answered = iter(isolate(good, self._answers))
        results = [None if one.ended else next(answered) for one in asked]
        found = [self._respond(one, results[index], context, index) for index, one in enumerate(asked)]
        if self.watch is not None:
            self.watch.end(asked, results, context)
        return found

    # Stages ----------------------------------------------------------------

    def outputs(self, values: Sequence[Any]) -> npt.NDArray[Any]:
        """The first output for some instances, as one array; used for golden rows and batch scoring."""
        rows = [self.check(value, f"instances[{i}]") for i, value in enumerate(values)]
        return self.infer(rows)[self.session.outputs[0]]

    def infer(self, rows: Sequence[Any]) -> Outputs:
        """Every output for checked rows."""
        parts = self.parts(rows)
        if len(parts) == 1 and isinstance(parts[0], range):
            return self.run(self.tensors(rows))
        found = [self.run(self.tensors([rows[index] for index in part])) for part in parts]
        order = np.argsort(np.concatenate([np.asarray(part) for part in parts]))
        return {name: np.concatenate([one[name] for one in found])[order] for name in self.session.outputs}

    def resize(self, batch: int) -> None:
        """Let so many rows run together, instead of what the signature says."""
        self.signature = replace(self.signature, max_batch=batch)

    def parts(self, rows: Sequence[Any]) -> Sequence[Sequence[int]]:
        """Which rows run together: at most `max_batch`, of like length."""
        size, lengths = self.signature.max_batch, self.lengths(rows)
        return chunks(len(rows), size) if lengths is None else buckets(lengths, size)

    def run(self, tensors: dict[str, npt.NDArray[Any]]) -> Outputs:
        """Every output for one batch; identical rows are computed once."""
        unique, inverse = distinct(tensors) if self.deduplicate else (tensors, None)
        if self.watch is not None:
            self.watch.clock.lap("preprocess")
        outputs = self.session.run(unique)
        if self.watch is not None:
            self.watch.clock.lap("inference")
        return outputs if inverse is None else {name: array[inverse] for name, array in outputs.items()}

    def _read(self, item: dict[str, Any], context: Any, index: int) -> Asked:
        headers: Mapping[str, Any] = {}
        try:
            headers = context.get_all_request_header(index) or {}
            check_deadline(headers)
            if headers.get("describe") == "True":  # TorchServe's mark; any client can set it, so it may share a batch
                return answered(Answer(describe(self)))
            asked = self.read(read_body(item, headers, self.signature.input.max_bytes))
        except Exception as error:  # noqa: BLE001 - it is logged
            answer = classify(error)
            if isinstance(answer, InternalError):
                event = self._event(context, index)
                log.error("a request could not be read\n%s", stack_of(error), extra=event)  # noqa: TRY400 - no message
            return failed(answer, negotiation.form_for(headers))
        if asked.form is PLAIN:
            asked.form = negotiation.plain_form(headers)
        if OBSERVE in headers or DIGITS in headers or TOP in headers:
            asked.form = observed_form(limited_form(asked.form, headers), headers)
        return asked

    def _check(self, asked: Sequence[Asked]) -> None:
        """Instances of all requests to rows, together; a request with a bad one gets its error."""
        unchecked = [one for one in asked if one.values is not None]
        if not unchecked:
            return
        values = [value for one in unchecked for value in one.values or ()]
        rows = iter(self.check_all(values, [place for one in unchecked for place in range(len(one.values or ()))]))
        for one in unchecked:
            one.rows = [next(rows) for _ in one.values or ()]
            one.error = combined([row for row in one.rows if isinstance(row, RequestError)])

    def _answers(self, asked: Sequence[Asked]) -> list[Answer | RequestError]:
        return answers(asked, self._outputs(asked), self._predictions, self.signature, self.largest_answer)

    def _predictions(self, outputs: Mapping[str, npt.NDArray[Any]]) -> list[Any]:
        first = outputs[self.session.outputs[0]]
        predictions = self.predictions(first) if len(first) else []
        if self.watch is not None:
            self.watch.predictions += predictions
        return predictions

    def _outputs(self, asked: Sequence[Asked]) -> Outputs:
        """Outputs of all requests in order; requests that bring tensors run by themselves."""
        if all(one.tensors is None for one in asked):
            return self.infer([row for one in asked for row in one.rows or ()])
        found = [self.infer(one.rows or ()) if one.tensors is None else self._raw(one.tensors) for one in asked]
        return {name: np.concatenate([one[name] for one in found]) for name in self.session.outputs}

    def _raw(self, tensors: dict[str, npt.NDArray[Any]]) -> Outputs:
        rows = len(next(iter(tensors.values())))
        parts = chunks(rows, self.signature.max_batch)
        found = [self.run({name: array[part.start : part.stop] for name, array in tensors.items()}) for part in parts]
        return {name: np.concatenate([one[name] for one in found]) for name in self.session.outputs}

    def _event(self, context: Any, index: int) -> dict[str, str]:
        """What a line about a request says beside its message, where logs have fields."""
        found = (context.get_all_request_header(index) or {}).get("x-request-id", "")
        return {"request_id": found, "model": self.signature.model, "version": self.signature.version}

    def _respond(self, one: Asked, result: Answer | RequestError | None, context: Any, index: int) -> bytes:
        error = error_of(one, result)
        if error is not None:
            if isinstance(error, InternalError):
                log.error("a request failed", extra=self._event(context, index))
            answer = refusal(one.form, error, self.signature)
            context.set_response_status(answer.status, error.phrase if answer.status == error.status else "OK", index)
        else:
            found = one.answer or result
            assert isinstance(found, Answer)  # noqa: S101 - one of the three is there
            answer = found
        context.set_response_content_type(index, answer.content_type)
        for name, value in (*answer.headers, *self.notes(one.rows or ())):
            context.set_response_header(index, name, value)
        if type(one.form) is Copied:
            context.set_response_header(index, ROWS, copied_rows(one, result, self.signature))
        return answer.body
