"""The types of quantised numbers follow the machine."""

import pytest
from onnxruntime.quantization import QuantType

from onnxserve_export.int8 import types_for


@pytest.mark.parametrize(
    ("flags", "reduced"),
    [(["avx2"], True), (["avx2", "avx512f"], True), (["avx2", "avx_vnni"], False), (["i8mm"], False)],
)
def test_weights_take_7_bits_where_products_would_saturate(flags, reduced):
    assert types_for(flags).reduce_range is reduced


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_gpus_get_signed_types_whatever_the_cpu(provider):
    types = types_for(["avx2"], provider)
    assert types.activation == types.weight == QuantType.QInt8
    assert not types.reduce_range
