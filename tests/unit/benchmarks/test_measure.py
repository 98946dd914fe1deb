"""Labels that come back under load are counted."""

import pytest

from benchmarks.measure import check_labels


def test_labels_that_come_as_often_as_their_rows_are_right():
    check_labels({"a": 3000, "b": 1500}, ["a", "a", "b"], 2)


@pytest.mark.parametrize("labels", [{"a": 1500, "b": 3000}, {"a": 4500}, {"a": 3000, "b": 1000, "c": 500}])
def test_wrong_answers_under_load_make_no_result(labels):
    with pytest.raises(RuntimeError, match=r"came \d+ times, expected"):
        check_labels(labels, ["a", "a", "b"], 2)
