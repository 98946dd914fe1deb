"""The garbage collector doesn't go through the lists of a large body while it is decoded."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from onnxserve_handlers.errors import UndecodableBody
from onnxserve_handlers.protocols.body import decode_json
from onnxserve_handlers.protocols.v2_http import read_infer_request

LISTS = b",".join([b"[0]"] * 50_000)
INFER_REQUEST = b'{"inputs":[{"name":"x","shape":[50000,1],"datatype":"FP32","data":[%s]}]}' % LISTS


def collections_of(work: Callable[[], Any]) -> int:
    """Return how often the collector runs."""
    phases = []
    gc.collect()
    gc.callbacks.append(callback := lambda phase, _: phases.append(phase))
    try:
        work()
    finally:
        gc.callbacks.remove(callback)
    return phases.count("start")


@pytest.mark.parametrize(
    "decode",
    [lambda: decode_json(b"[%s]" % LISTS), lambda: read_infer_request(INFER_REQUEST, memoryview(b""))],
    ids=["instances", "v2"],
)
def test_it_waits_and_is_there_again(decode):
    assert collections_of(decode) < 9
    assert gc.isenabled()


def test_it_is_there_again_after_a_body_that_cant_be_decoded():
    with pytest.raises(UndecodableBody):
        decode_json(b"[%s" % LISTS)
    assert gc.isenabled()


def test_who_has_turned_it_off_keeps_it_off():
    gc.disable()
    try:
        decode_json(b"[%s]" % LISTS)
        assert not gc.isenabled()
    finally:
        gc.enable()
