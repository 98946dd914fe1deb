"""Which rows run together, and which are computed once."""

import itertools
import random

import numpy as np
import pytest

from onnxserve_handlers.inference import buckets, chunks, distinct
from tests.helpers.fakes import ask_json, with_fake_session
from tests.helpers.kinds import TableClassifier


def cost(groups, lengths, run_cost):
    return sum(run_cost + len(group) * max(lengths[i] for i in group) for group in groups)


def partitions(items, size):
    """Yield all ways to cut a sequence into consecutive groups."""
    for cuts in itertools.product((0, 1), repeat=len(items) - 1):
        groups = [[items[0]]]
        for cut, item in zip(cuts, items[1:], strict=True):
            groups.append([item]) if cut else groups[-1].append(item)
        if all(len(group) <= size for group in groups):
            yield groups


@pytest.mark.parametrize("seed", range(12))
def test_buckets_cost_as_little_as_the_best_of_all_groupings(seed):
    rng = random.Random(seed)
    lengths = [rng.choice([3, 5, 8, 40, 120]) for _ in range(9)]
    groups = buckets(lengths, 4, 24)
    assert sorted(i for group in groups for i in group) == list(range(9))
    assert all(len(group) <= 4 for group in groups)
    order = sorted(range(9), key=lengths.__getitem__)
    assert cost(groups, lengths, 24) == min(cost(grouping, lengths, 24) for grouping in partitions(order, 4))


def test_one_long_row_does_not_pad_the_short_ones():
    assert sorted(map(len, buckets([8, 8, 120, 8], 16))) == [1, 3]
    assert buckets([8, 9, 8, 9], 16) == [[0, 2, 1, 3]]
    assert buckets([], 4) == []


def test_chunks_cover_everything_once():
    assert [list(part) for part in chunks(5, 2)] == [[0, 1], [2, 3], [4]]


def test_identical_rows_are_found_in_all_inputs_together():
    first = np.array([[1, 2], [1, 2], [3, 4], [1, 2]], np.float32)
    second = np.array([[0], [0], [0], [9]], np.int64)
    unique, inverse = distinct({"a": first, "b": second})
    assert inverse is not None
    assert inverse.tolist() == [0, 0, 1, 2]
    np.testing.assert_array_equal(unique["a"][inverse], first)
    np.testing.assert_array_equal(unique["b"][inverse], second)


def test_rows_that_differ_in_a_sign_of_zero_are_two():
    arrays = {"a": np.array([[0.0], [-0.0]], np.float32)}
    assert distinct(arrays) == (arrays, None)


def test_rows_of_equal_texts_are_one_row_whichever_objects_they_are():
    texts = np.array([["Bern"], ["Chur"], [b"Bern".decode()]], object)
    unique, inverse = distinct({"town": texts})
    assert unique["town"].tolist() == [["Bern"], ["Chur"]]
    assert inverse is not None
    assert inverse.tolist() == [0, 1, 0]


def test_identical_requests_are_run_once_and_answered_alike():
    handler = TableClassifier()
    with_fake_session(handler, columns=("a", "b"))
    handler.prepare()
    answers = ask_json(handler, [1, 2], [3, 4], [1, 2], [1, 2])
    assert handler.session.batches == [2]  # type: ignore[attr-defined]  # the fake remembers
    assert answers[0] == answers[2] == answers[3] != answers[1]
