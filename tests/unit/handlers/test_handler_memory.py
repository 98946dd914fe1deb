"""A batch of bodies that grow when they are decoded takes little more memory than one of them."""

from __future__ import annotations

import tracemalloc

import pytest

from onnxserve_handlers.handler import Handler
from tests.helpers.inference import JSON, send
from tests.helpers.task_models import MODELS

BYTES = 40_000  # of a body
REQUESTS = 16
NESTED_ROW, ROWS = b'{"instances":[[%s]]}', b'{"instances":[%s]}'
INFER_REQUEST = b'{"inputs":[{"name":"reading","shape":[1,9],"datatype":"FP32","data":[%s]}]}'


def body_of(form: bytes, element: bytes) -> bytes:
    return form % b",".join([element] * (BYTES // (len(element) + 1)))


def peak_of(handler: Handler, body: bytes, count: int) -> tuple[set[int], int]:
    """Return the statuses of `count` requests in a batch, and the most memory beside their bodies [bytes]."""
    tracemalloc.start()
    try:
        answers = send(handler, *[(body, {"content-type": JSON})] * count)
        return {status for status, _, _ in answers}, tracemalloc.get_traced_memory()[1] - count * len(body)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("element", [b"[]", b'{"":0}', b"[0]"])
@pytest.mark.parametrize(
    ("task", "form"),
    [("raw", NESTED_ROW), ("raw", ROWS), ("raw", INFER_REQUEST), ("detection", NESTED_ROW), ("multilabel", NESTED_ROW)],
)
def test_decoded_bodies_are_not_kept_for_the_batch(tmp_path, task, form, element):
    handler, body = MODELS[task].handler(tmp_path / task, max_bytes=BYTES * 2), body_of(form, element)
    peak_of(handler, body, 1)  # the first request fills caches
    statuses, single = peak_of(handler, body, 1)
    together, peak = peak_of(handler, body, REQUESTS)
    assert together == statuses
    assert statuses <= {413, 422}
    assert single > 5 * len(body)
    assert peak < 2 * single
