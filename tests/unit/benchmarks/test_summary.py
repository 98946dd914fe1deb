"""Ratios between servers are taken round by round."""

from benchmarks.summary import Summary
from tests.helpers.measurements import measurement


def test_ratios_are_taken_round_by_round():
    # The machine is ten times slower in the second round: the ratio of each is 2, of the medians it would be 1.1.
    runs = [
        measurement("default", 2000, round_=0),
        measurement("default", 200, round_=1),
        measurement("mosec", 1000, round_=0),
    ]
    runs += [measurement("mosec", 100, round_=1), measurement("mosec", 1000, round_=2)]
    ratio = Summary(runs).ratio("default", "mosec", 64, "rate")
    assert ratio is not None
    assert (ratio.low, ratio.median, ratio.high) == (2, 2, 2)


def test_a_server_without_answers_gives_no_ratio():
    assert (
        Summary([measurement("default", 2000), measurement("mosec", 0)]).ratio("default", "mosec", 64, "rate") is None
    )
