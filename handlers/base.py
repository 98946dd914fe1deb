"""The batch loop that every handler shares. A kind of model fills in four hooks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from . import answer
from .describe import describe
from .digests import check_digests
from .errors import InvalidRow, RequestError
from .golden import check_golden, read_golden
from .isolate import guarded, isolate
from .request import JSON, UNDECLARED, Body, decode_json, instances, read_body, wrong_media
from .scores import classify_rows, plain_rows
from .session import Session, choose_provider
from .signature import Signature, read_signature
from .threads import intra_op_threads

log = logging.getLogger(__name__)
Group = list[Any]


class Handler:
    """TorchServe's handler API (`initialize`, `handle`) over rows that can't harm each other."""

    # Free axes beside the batch, by input name: {"input_ids": {1: "sequence"}}.
    dynamic_axes: ClassVar[dict[str, dict[int, str]]] = {}
    # Content types read as one raw row, beside JSON.
    raw_types: ClassVar[tuple[str, ...]] = ()
    # Keys that may name the one row of a JSON document: {"text": "..."}.
    row_keys: ClassVar[tuple[str, ...]] = ("data",)

    signature: Signature
    folder: Path
    session: Session

    # Hooks -----------------------------------------------------------------

    def prepare(self) -> None:
        """Load what `check` and `tensors` need from `self.folder` and `self.signature`."""

    def check(self, instance: Any, where: str) -> Any:
        """One instance to one row; raise InvalidRow or UndecodableBody for one outside the signature."""
        raise NotImplementedError

    def tensors(self, rows: Sequence[Any]) -> dict[str, npt.NDArray[Any]]:
        """Rows to the graph's inputs; dimension 0 is the batch."""
        raise NotImplementedError

    def predictions(self, outputs: npt.NDArray[Any]) -> list[Any]:
        """The first output, shape (rows, ...), to one JSON value a row."""
        labels = self.signature.labels
        return classify_rows(outputs, labels) if labels else plain_rows(outputs)

    # TorchServe's API ------------------------------------------------------

    def initialize(self, context: Any) -> None:
        """Load, warm up and prove; any failure here keeps the worker from becoming ready."""
        properties = context.system_properties
        settings = getattr(context, "model_yaml_config", None) or {}
        mine = settings.get("handler") or {}
        self.open(Path(properties["model_dir"]))
        check_digests(self.folder)
        provider = choose_provider(
            str(mine.get("provider", "auto")), properties.get("gpu_id"), ort.get_available_providers()
        )
        threads = intra_op_threads(int(settings.get("maxWorkers", 1)), int(mine.get("threads", 0)))
        self.session = Session(self.folder / "model.onnx", provider, threads)
        self.golden_deviation = check_golden(read_golden(self.folder), self.outputs)
        log.info("%s %s ready on %s", self.signature.model, self.signature.version, provider)

    def open(self, folder: Path) -> None:
        """Read the signature and prepare the stages before the session; enough for `tensors`."""
        self.folder = folder
        self.signature = read_signature(folder)
        self.prepare()

    def handle(self, data: Sequence[dict[str, Any]], context: Any) -> list[bytes]:
        """One answer for each request, in order, with its own status. Never raises."""
        results: list[bytes | RequestError]
        if data and context.get_request_header(0, "describe") == "True":
            results = [guarded(lambda: describe(self))]
        else:
            groups = [guarded(partial(self._group, item, context, index)) for index, item in enumerate(data)]
            good = [group for group in groups if not isinstance(group, RequestError)]
            answers = iter(isolate(good, self._answers))
            results = [group if isinstance(group, RequestError) else next(answers) for group in groups]
        return [self._respond(result, context, index) for index, result in enumerate(results)]

    # Stages ----------------------------------------------------------------

    def outputs(self, values: Sequence[Any]) -> npt.NDArray[Any]:
        """The first output for some instances, as one array; used for golden rows and batch scoring."""
        return self.infer([self.check(value, f"instances[{i}]") for i, value in enumerate(values)])

    def infer(self, rows: Sequence[Any]) -> npt.NDArray[Any]:
        """The first output for checked rows, in chunks of at most `max_batch`."""
        size = self.signature.max_batch
        chunks = [rows[start : start + size] for start in range(0, len(rows), size)]
        return np.concatenate([self._run(chunk) for chunk in chunks])

    def _run(self, rows: Sequence[Any]) -> npt.NDArray[Any]:
        outputs = self.session.run(self.tensors(rows))
        return outputs[self.session.outputs[0]]

    def _group(self, item: dict[str, Any], context: Any, index: int) -> Group:
        body = read_body(item, context.get_all_request_header(index) or {}, self.signature.input.max_bytes)
        values = self.read(body)
        if len(values) == 1:
            return [self.check(values[0], "instances[0]")]
        return self._check_all(values)

    def _check_all(self, values: list[Any]) -> Group:
        rows = [guarded(partial(self.check, value, f"instances[{index}]")) for index, value in enumerate(values)]
        faults = [row for row in rows if isinstance(row, RequestError)]
        if not faults:
            return rows
        if len(faults) == 1:
            raise faults[0]
        # Every fault at once, so that the caller needs one round to mend them.
        shown = "; ".join(f"{fault.where}: {fault.reason}" for fault in faults[:10])
        more = f"; and {len(faults) - 10} more" if len(faults) > 10 else ""
        raise InvalidRow(shown + more, where=faults[0].where, fix=faults[0].fix)

    def read(self, body: Body) -> list[Any]:
        """The instances in one request's body."""
        if body.content is None:
            return instances(body.decoded, self.row_keys, self.signature.input.max_rows)
        if body.media_type in self.raw_types:
            return [body.content]
        if body.media_type == JSON or (body.media_type in UNDECLARED and not self.raw(body.content)):
            return instances(decode_json(body.content), self.row_keys, self.signature.input.max_rows)
        if body.media_type in UNDECLARED:
            return [body.content]
        raise wrong_media(body.media_type, (JSON, *self.raw_types))

    def raw(self, content: bytes) -> bool:  # noqa: ARG002 - a hook
        """Whether a body without a declared type is a raw row rather than JSON."""
        return False

    def _answers(self, groups: Sequence[Group]) -> list[bytes]:
        flat = [row for group in groups for row in group]
        predictions = self.predictions(self.infer(flat))
        if len(predictions) != len(flat):
            raise ValueError(f"{len(predictions)} predictions for {len(flat)} rows")
        rest = iter(predictions)
        name, version = self.signature.model, self.signature.version
        return [answer.good([next(rest) for _ in group], name, version) for group in groups]

    def _respond(self, result: bytes | RequestError, context: Any, index: int) -> bytes:
        context.set_response_content_type(index, answer.CONTENT_TYPE)
        if isinstance(result, bytes):
            return result
        context.set_response_status(result.status, result.phrase, index)
        return answer.bad(result, self.signature.model, self.signature.version)
