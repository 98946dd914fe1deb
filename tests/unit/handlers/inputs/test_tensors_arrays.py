"""The memory that inputs take again for each batch."""

import numpy as np

from onnxserve_handlers.inputs.tensors_arrays import Buffers


def test_a_buffer_is_taken_again_and_grows():
    buffers = Buffers()
    small = buffers.take("x", (2, 3), np.float32)
    assert np.shares_memory(small, buffers.take("x", (3, 2), np.float32))
    large = buffers.take("x", (4, 3), np.float32)
    assert (large.shape, large.flags.c_contiguous) == ((4, 3), True)
    assert buffers.take("x", (1,), np.int64).dtype == np.int64
