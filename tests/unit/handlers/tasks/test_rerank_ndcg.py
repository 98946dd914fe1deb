"""The nDCG of scores beside grades of relevance."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from onnxserve_handlers.tasks.rerank_ndcg import ndcg, ndcg_of_groups


def test_the_worked_example_of_wikipedia_comes_out():
    """https://en.wikipedia.org/wiki/Discounted_cumulative_gain: DCG 6.861, of the ideal order of these six 7.141."""
    gains = np.array([3.0, 2, 3, 0, 1, 2])
    assert ndcg(-np.arange(6.0), gains) == pytest.approx(6.861 / 7.141, abs=1e-3)
    assert ndcg(gains, gains) == 1


def test_equal_scores_get_the_mean_of_all_their_orders():
    gains, scores = np.array([1.0, 0, 0.5, 0]), np.array([0.7, 0.7, 0.7, 0.9])
    orders = [ndcg(scores + np.array([*order, 0]) * 1e-6, gains) for order in permutations(range(3))]
    assert ndcg(scores, gains) == pytest.approx(np.mean(orders))
    assert len({round(value, 6) for value in orders}) > 1
    assert ndcg(np.zeros(4), gains) < 1  # a constant model orders nothing


def test_documents_beyond_the_cut_count_for_nothing():
    gains = np.zeros(30)
    gains[20] = 1
    assert ndcg(-np.arange(30.0), gains) == 0
    assert ndcg(-np.arange(30.0), gains, cut=21) == pytest.approx(1 / np.log2(22))
    assert ndcg(np.arange(30.0), np.zeros(30)) == 1


def test_each_group_is_a_ranking_of_its_own():
    groups = [np.array([0, 2]), np.array([1, 3])]
    scores, gains = np.array([0.1, 0.9, 0.9, 0.1]), np.array([1.0, 1, 0, 0])
    assert ndcg_of_groups(groups, scores, gains).tolist() == pytest.approx([1 / np.log2(3), 1])
