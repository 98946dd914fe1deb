"""The order of the measured servers."""

from benchmarks.rivals import LIMITS, TITLES


def test_the_default_path_comes_first_and_limits_last():
    names = list(TITLES)
    assert names[:4] == ["default", "keys", "cache", "direct"]
    assert names[-2:] == list(LIMITS)
    assert {"mosec", "triton", "fastapi", "fastapi-full"} <= set(names)
