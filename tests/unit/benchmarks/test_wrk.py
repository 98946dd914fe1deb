"""Answers and refusals that wrk reports are counted."""

from benchmarks.wrk import Run, refusals


def test_refusals_are_counted_by_status_and_so_are_those_that_the_script_did_not_publish():
    assert refusals({"a": 640, "?429": 60, "?204": 3}, broken=2, errors=70) == {
        "429": 60,
        "204": 3,
        "not published": 10,
        "broken": 2,
    }
    assert refusals({"a": 640}, broken=0, errors=0) == {}


def test_only_answers_with_a_label_count_as_answered():
    load = Run(100, 1, 2, requests=1000, seconds=10, labels={"a": 900}, refused={"503": 90, "broken": 5})
    assert load.failed == 95
    assert load.answered == 910  # broken connections gave no response that wrk counts
