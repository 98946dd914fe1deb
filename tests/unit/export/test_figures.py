"""Numbers in a report."""

import pytest

from onnxserve_export.figures import duration, percent, points, size, small, times


@pytest.mark.parametrize(
    ("share", "shown"), [(0.00919, "0.92"), (-0.0014, "-0.14"), (-0.0, "0.00"), (-1e-9, "0.00"), (1.0, "100.00")]
)
def test_shares_are_points_and_no_zero_has_a_sign(share, shown):
    assert points(share) == shown
    assert percent(share) == f"{shown}\u00a0%"


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (0.000105, "0.105 µs"),
        (0.3959, "396 µs"),
        (0.9999, "1 ms"),
        (39.56, "39.6 ms"),
        (999.9, "1 s"),
        (12345.6, "12.3 s"),
    ],
)
def test_times_have_three_digits_and_a_unit_that_fits(milliseconds, shown):
    assert duration(milliseconds).replace("\u00a0", " ") == shown


@pytest.mark.parametrize(("megabytes", "shown"), [(0.0244, "24.4 kB"), (13.47, "13.5 MB"), (2180.0, "2.18 GB")])
def test_sizes_have_a_unit_that_fits(megabytes, shown):
    assert size(megabytes).replace("\u00a0", " ") == shown


def test_what_is_nearly_zero_keeps_its_power_and_zero_has_none():
    assert (small(3.28e-7), small(0.0), small(-0.0)) == ("3.3e-07", "0", "0")


@pytest.mark.parametrize(
    ("ratio", "shown"), [(6.25, "6.2 times as fast as"), (1.01, "as fast as"), (0.5, "2.0 times as slow as")]
)
def test_speeds_are_compared_in_words(ratio, shown):
    assert times(ratio) == shown
