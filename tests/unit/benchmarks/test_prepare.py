"""Request bodies of the measured servers."""

from pathlib import Path

import msgspec

from benchmarks.prepare import Bench, v2_bodies


def test_rows_of_the_open_inference_protocol_have_a_batch_dimension():
    table = Bench("segment", Path(), Path(), [[1.0, 2.0]], ["a"])
    [tensor] = msgspec.json.decode(v2_bodies(table)[0])["inputs"]
    assert (tensor["shape"], tensor["datatype"], tensor["data"]) == ([1, 2], "FP32", [1.0, 2.0])
    texts = Bench("sentiment", Path(), Path(), ["good"], ["a"])
    [tensor] = msgspec.json.decode(v2_bodies(texts)[0])["inputs"]
    assert (tensor["shape"], tensor["datatype"], tensor["data"]) == ([1, 1], "BYTES", ["good"])
