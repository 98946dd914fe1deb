"""Thresholds in float32 that send every float32 number the way that the threshold in float64 does."""

import numpy as np

from onnxserve_export.sources.tree_nodes import round_down


def test_a_threshold_is_rounded_down_so_that_no_float32_number_changes_sides():
    exact = np.concatenate([np.random.default_rng(0).normal(size=1000), [0.0, -0.1, 0.1, 2.0**24 + 1, -1e-40]])
    down = round_down(exact)
    assert (down <= exact).all()
    assert (down.astype(np.float32) == down).all()
    nearest = exact.astype(np.float32)
    for numbers in (nearest, np.nextafter(nearest, np.float32(-np.inf)), np.nextafter(nearest, np.float32(np.inf))):
        np.testing.assert_array_equal(numbers <= down.astype(np.float32), numbers.astype(np.float64) <= exact)
    assert (nearest.astype(np.float64) > exact).any()  # rounding to the nearest would move some
