"""The batch loop that every handler shares: read -> check -> tensors -> run -> respond."""

from __future__ import annotations

import logging
import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import onnxruntime as ort

from .errors import InternalError, RequestError, classify, combine, guard, isolate, stack_of
from .inference import Inference
from .outputs import Outputs, free_axes
from .protocols import negotiation
from .protocols.body import Body, read_body
from .protocols.gateway_forms import ROWS, CopyForm, encode_rows, gateway_form
from .protocols.v2_grpc import metadata_message
from .protocols.v2_http import model_metadata
from .registry import read_signature
from .request import (
    Request,
    answered_request,
    build_responses,
    check_deadline,
    error_of,
    failed_request,
    join_tensors,
    tensor_groups,
)
from .response import DEFAULT_MAX_RESPONSE_BYTES, PLAIN, Response, max_response_bytes, refusal
from .runtime.gpu import read_gpu, tensorrt_shapes
from .runtime.session import Provider, Session, available_providers, choose_provider, intra_op_threads
from .signature import ERRORS, object_schema
from .telemetry.drift import why_not_judged
from .telemetry.recorder import make_recorder
from .trust.digests import check_digests
from .trust.model import Golden, check_golden, check_labels, read_golden, read_model
from .trust.signing import check_signing

log = logging.getLogger(__name__)


class Handler(Inference):
    """TorchServe's handler API (`initialize`, `handle`) over rows that can't harm each other."""

    golden_deviation: float  # largest deviation of this machine's outputs for the golden rows, in spreads
    max_response_bytes = DEFAULT_MAX_RESPONSE_BYTES  # largest answer [bytes]; TorchServe lets no larger one through

    def read(self, body: Body) -> Request:
        """Return a body's instances or tensors, with the form of the response."""
        return negotiation.read(self, body)

    # TorchServe's API ------------------------------------------------------

    def initialize(self, context: Any) -> None:
        """Load, warm up and prove; any failure here keeps the worker from becoming ready."""
        properties = context.system_properties
        config = getattr(context, "model_yaml_config", None) or {}
        self.settings = settings = config.get("handler") or {}
        self.threads = intra_op_threads(int(config.get("maxWorkers", 1)), int(settings.get("threads", 0)))
        self.deduplicate = bool(settings.get("deduplicate", True))
        self.max_response_bytes = max_response_bytes(context)
        os.environ.setdefault("RAYON_NUM_THREADS", str(self.threads))  # the tokenizer keeps to the budget too
        self.open(Path(properties["model_dir"]))
        if not getattr(context, "verified", False):  # our worker verifies the folder before it imports this module
            check_digests(self.folder)
            check_signing(self.folder)
        provider = self._provider(settings, properties.get("gpu_id"))
        self.session = Session(read_model(self.folder), provider, self.threads, self.signature.max_batch)
        self.recorder = make_recorder(self, provider.name)
        golden = read_golden(self.folder)
        self.session.warm(self.tensors([self.check(golden.instances[0], "golden")]))
        self.golden_deviation = check_golden(golden, self.every_output)
        self._check_labels(golden)
        details = (self.signature.model, self.signature.version, provider.name, provider.reason)
        log.info("%s %s ready on %s (%s), nodes: %s", *details, self.session.placement())

    def _check_labels(self, golden: Golden) -> None:
        if any(label is not None for label in golden.labels):
            rows = [self.check(value, "golden") for value in golden.instances]
            check_labels(golden, self.infer(rows), self.origins(rows), self.right)

    def _provider(self, settings: Mapping[str, Any], gpu_id: int | None) -> Provider:
        provider = choose_provider(str(settings.get("provider", "auto")), gpu_id, available_providers())
        sizes = self.free_axes(), self.least_sizes()
        shapes = tensorrt_shapes(self.signature.inputs, self.signature.max_batch, *sizes)
        return replace(provider, gpu=read_gpu(settings), variant=self.signature.variant, shapes=shapes)

    def open(self, folder: Path) -> None:
        """Read the signature and prepare the hooks, without a session; this is enough for `check` and `tensors`."""
        self.folder = folder
        self.signature = read_signature(folder)
        self.output_axes = free_axes(self.signature.outputs)
        self.prepare()

    def handle(self, data: Sequence[dict[str, Any]], context: Any) -> list[bytes]:
        """Return one body per request, in order, each with its own status. Never raises."""
        if self.recorder is not None:
            self.recorder.begin()
        requests = [self._read(item, context, index) for index, item in enumerate(data)]
        self._check(requests)
        unfinished = [request for request in requests if not request.finished]
        computed = iter(isolate(unfinished, self._compute))
        results = [None if request.finished else next(computed) for request in requests]
        bodies = [self._respond(request, results[index], context, index) for index, request in enumerate(requests)]
        if self.recorder is not None:
            self.recorder.end(requests, results, context)
        return bodies

    # Stages ----------------------------------------------------------------

    def _read(self, item: dict[str, Any], context: Any, index: int) -> Request:
        headers: Mapping[str, Any] = {}
        try:
            headers = context.get_all_request_header(index) or {}
            check_deadline(headers)
            if headers.get("describe") == "True":  # TorchServe's mark; any client can set it, so it may share a batch
                return answered_request(Response(self._describe()))
            request = self.read(read_body(item, headers, self.signature.input.max_bytes))
        except Exception as error:  # noqa: BLE001 - it is logged
            shown = classify(error)
            if isinstance(shown, InternalError):
                fields = self._log_fields(context, index)
                log.error("a request could not be read\n%s", stack_of(error), extra=fields)  # noqa: TRY400 - no message
            return failed_request(shown, negotiation.form_for(headers))
        if request.form is PLAIN:
            request.form = negotiation.plain_form(headers)
        request.form = gateway_form(request.form, headers)
        self._check_early(request)
        return request

    def _check_early(self, request: Request) -> None:
        """Refuse instances that are too much together, and check nested lists before the next body is read.

        Nested lists take up to 35 times the memory of their JSON. Nobody needs them afterwards, unless the kind's rows
        are logged as the client sent them; such bodies are small.
        """
        if request.instances is not None and not request.finished:
            request.instances = list(request.instances)
            request.error = guard(partial(self.check_together, request.instances))
        nested = any(isinstance(instance, list | dict) for instance in request.instances or ())
        if nested and not request.finished and not self.signature.input.is_loggable:
            self._check([request])
            request.instances = None

    def _check(self, requests: Sequence[Request]) -> None:
        """Check the instances of all requests together; a request with an invalid one gets its error."""
        unchecked = [request for request in requests if request.instances is not None and not request.finished]
        for request, rows in zip(unchecked, isolate(unchecked, self._check_rows), strict=True):
            if isinstance(rows, RequestError):
                request.error = rows
            else:
                request.rows = rows
                request.error = combine([row for row in rows if isinstance(row, RequestError)])

    def _check_rows(self, requests: Sequence[Request]) -> list[list[Any]]:
        """Return the rows, or errors in their places, of each request's instances."""
        instances = [instance for request in requests for instance in request.instances or ()]
        places = [place for request in requests for place in range(len(request.instances or ()))]
        rows = iter(self.check_all(instances, places))
        return [[next(rows) for _ in request.instances or ()] for request in requests]

    def _compute(self, requests: Sequence[Request]) -> list[Response | RequestError]:
        """Return a response or an error for each request. Rows run together, and so do tensors of the same sizes."""
        with_rows = [request for request in requests if request.tensors is None]
        responses = list[Response | RequestError]()
        if with_rows:
            rows = [row for request in with_rows for row in request.rows or ()]
            responses = self._build(with_rows, self.infer(rows), rows)
        if len(with_rows) == len(requests):
            return responses
        by_request = dict(zip(with_rows, responses, strict=True))
        # Outputs with free axes have the sizes that a request's own padding gives them.
        for group in tensor_groups(requests, 0 if self.output_axes else self.signature.max_batch):
            by_request |= zip(group, self._build(group, self.infer_tensors(join_tensors(group)), None), strict=True)
        return [by_request[request] for request in requests]

    def _build(
        self, requests: Sequence[Request], outputs: Outputs, rows: Sequence[Any] | None
    ) -> list[Response | RequestError]:
        return build_responses(requests, outputs, partial(self._predictions, rows), self, self.max_response_bytes)

    def _predictions(self, rows: Sequence[Any] | None, outputs: Outputs, bad_rows: Sequence[int]) -> list[Any]:
        if rows is not None and bad_rows:
            rows = [row for index, row in enumerate(rows) if index not in bad_rows]
        predictions = self.predictions(outputs.own(), rows) if len(next(iter(outputs.values()))) else []
        if self.recorder is not None:
            self.recorder.predictions += predictions
        return predictions

    def _log_fields(self, context: Any, index: int) -> dict[str, str]:
        """Return the fields that stand beside the message of a log line about a request."""
        request_id = (context.get_all_request_header(index) or {}).get("x-request-id", "")
        return {"request_id": request_id, "model": self.signature.model, "version": self.signature.version}

    def _respond(self, request: Request, result: Response | RequestError | None, context: Any, index: int) -> bytes:
        error = error_of(request, result)
        if error is not None:
            if isinstance(error, InternalError):
                log.error("a request failed", extra=self._log_fields(context, index))
            response = refusal(request.form, error, self.signature)
            phrase = error.phrase if response.status == error.status else "OK"
            context.set_response_status(response.status, phrase, index)
        else:
            computed = request.response or result
            assert isinstance(computed, Response)  # noqa: S101 - a request has an error, a response or a result
            response = computed
        context.set_response_content_type(index, response.content_type)
        for name, value in (*response.headers, *self.notes(request.rows or ())):
            context.set_response_header(index, name, value)
        if type(request.form) is CopyForm:
            context.set_response_header(index, ROWS, encode_rows(request, result, self.signature))
        return response.body

    def schemas(self) -> dict[str, Any]:
        """Return the JSON schemas of a `row` and of its `prediction`, or of the error in its place, for OpenAPI.

        `parameters` has those of what a request may ask for beside its rows.
        """
        error = object_schema({"error": {"type": "object"}}, ["error"])
        prediction = {"anyOf": [self.prediction_schema(), error]}
        return {"row": self.row_schema(), "prediction": prediction, "parameters": self.parameter_schemas()}

    def _describe(self) -> bytes:
        """Return what `GET /models/{model}?customized=true` answers, a JSON object about the loaded archive.

        It has the signature, the evidence's summary, provider and threads, and in `drift` the word `judged`, or why it
        isn't; `v2` and `openapi` are for the gateway.
        """
        v2 = model_metadata(self.signature)
        evidence: dict[str, Any] = msgspec.json.decode((self.folder / "evidence.json").read_bytes())
        session, provider = self.session, asdict(self.session.provider)
        return msgspec.json.encode(
            {
                "signature": self.signature,
                "evidence": evidence["summary"],
                "provider": {**provider, "onnxruntime": ort.__version__, "nodes": session.placement()},
                "threads": {"intra_op": session.threads},
                "golden_deviation": self.golden_deviation,
                "drift": why_not_judged(self.folder) or "judged",
                "v2": v2,
                "v2_message": b64encode(metadata_message(v2)).decode(),
                "openapi": {**self.schemas(), "max_rows": self.signature.input.max_rows, "errors": ERRORS},
            }
        )
