"""Rows of one size run together, and the rows that many checks look at are of every size."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from onnxserve_export.batch_composition import batches, spread
from onnxserve_export.row_arrays import rows_at
from onnxserve_export.rows import JUDGED, split_rows
from onnxserve_export.subset import FRACTIONS, WINDOW, Row, spool

ROWS = [Row("x" * (number * 37 % 101), number % 2) for number in range(3 * WINDOW + 10)]


def padding(values: list[str], size: int) -> int:
    return sum(max(map(len, batch)) * len(batch) - sum(map(len, batch)) for batch in batches(values, size))


def test_rows_that_are_compared_follow_each_other_by_size(tmp_path: Path):
    rows = spool((("certify", row) for row in ROWS), ["certify"], tmp_path / "sorted", by_size=["certify"])["certify"]
    plain = spool((("certify", row) for row in ROWS), ["certify"], tmp_path / "plain")["certify"]
    values = [row.value for row in rows]
    assert [row.value for row in plain] == [row.value for row in ROWS]
    assert (sorted(values, key=len), len(rows)) == (sorted((row.value for row in ROWS), key=len), len(ROWS))
    assert rows.digest == plain.digest
    assert sorted(rows.keys) == sorted(plain.keys)
    for start in range(0, len(values), WINDOW):
        lengths = list(map(len, values[start : start + WINDOW]))
        assert lengths == sorted(lengths)
    assert padding(values, 16) < 0.15 * padding([row.value for row in ROWS], 16)


def test_rows_that_train_or_calibrate_keep_their_order(tmp_path: Path):
    rows = [Row(f"{'y' * (number % 50)}{number}", None) for number in range(2000)]
    split = split_rows(rows, tmp_path / "rows")
    order = {row.value: place for place, row in enumerate(rows)}
    in_order = {
        name: (places := [order[row.value] for row in subset]) == sorted(places)
        for name, subset in split.subsets.items()
    }
    assert in_order == {name: name not in JUDGED for name in FRACTIONS}


def test_labels_have_no_say_in_the_order_of_rows(tmp_path: Path):
    rows = [Row([number / 7], "no" if number % 2 else "certainly") for number in range(WINDOW)]
    subset = spool((("certify", row) for row in rows), ["certify"], tmp_path, by_size=["certify"])["certify"]
    labels = [row.label for row in subset]
    changes = sum(left != right for left, right in pairwise(labels))
    assert changes > WINDOW / 3
    assert sorted(labels) == sorted(row.label for row in rows)


def test_a_few_of_many_rows_are_of_every_size():
    chosen = spread(1000, 48)
    assert len(chosen) == len(set(chosen)) == 48
    assert sorted(chosen) != chosen
    assert {number // 100 for number in chosen} == set(range(10))
    assert {number // 250 for number in chosen[:16]} == set(range(4)), "the first of them are of every size too"
    assert chosen == spread(1000, 48)
    assert sorted(spread(3, 48)) == [0, 1, 2]
    assert sorted(spread(48, 48)) == list(range(48))
    assert spread(0, 48) == []


def test_rows_are_taken_in_the_order_of_their_places(tmp_path: Path):
    rows = spool((("certify", row) for row in ROWS), ["certify"], tmp_path)["certify"]
    assert rows.at([5, 0, 700]) == [ROWS[5], ROWS[0], ROWS[700]]
    assert rows.at([]) == []
    arrays = rows_at({"y": np.arange(10).reshape(5, 2)}, [3, 0], tmp_path)
    assert arrays["y"].tolist() == [[6, 7], [0, 1]]
