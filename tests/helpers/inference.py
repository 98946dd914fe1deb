"""Calls handlers with a fake session as a worker does."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from onnxserve_handlers.offline import OfflineContext
from onnxserve_handlers.signature import Tensor
from tests.helpers.fakes import with_fake_session, word_tokenizer
from tests.helpers.kinds import TableClassifier, TextClassifier

JSON = "application/json"
HEADER = "Inference-Header-Content-Length"


def signed(handler: Any, inputs: Any, **limits: Any) -> Any:
    with_fake_session(handler, **limits)
    outputs = (Tensor("output_0", "float32", ("batch", 2)),)
    handler.signature = replace(handler.signature, inputs=inputs, outputs=outputs)
    return handler


def send(handler, *requests):
    """Return status, headers and body for (body, headers) pairs in one batch."""
    context = OfflineContext(Path())
    context.headers = [headers for _, headers in requests]
    answers = handler.handle([{"body": bytearray(body)} for body, _ in requests], context)
    return [
        (context.statuses.get(i, (200, ""))[0], context.response_headers.get(i, {}), answer)
        for i, answer in enumerate(answers)
    ]


def infer(handler, document, **headers):
    [(status, _, body)] = send(handler, (json.dumps(document).encode(), {"content-type": JSON, **headers}))
    return status, json.loads(body)


def features(rows, **more):
    return {"name": "features", "shape": [len(rows), 2], "datatype": "FP32", "data": rows, **more}


def table_handler() -> Any:
    handler = signed(TableClassifier(), (Tensor("features", "float32", ("batch", 2)),), columns=("a", "b"), max_rows=6)
    handler.prepare()
    return handler


def text_handler(folder: Path) -> Any:
    word_tokenizer().save(str(folder / "tokenizer.json"))
    axes = ("batch", "sequence")
    inputs = (Tensor("input_ids", "int64", axes), Tensor("attention_mask", "int64", axes))
    handler = signed(TextClassifier(), inputs, max_tokens=4)
    handler.folder = folder
    handler.prepare()
    return handler
