"""Rows of one size run together, and the rows that many checks look at are of every size."""

from __future__ import annotations

from pathlib import Path

from onnxserve_export.batch_composition import batches, spread
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


def test_a_few_of_many_rows_are_of_every_size():
    values = sorted(range(1000), key=lambda number: number % 100)
    chosen = spread(values, len(values), 48)
    assert len(chosen) == len(set(chosen)) == 48
    assert {number % 100 // 10 for number in chosen} == set(range(10))
    assert chosen == spread(values, len(values), 48)
    assert {number % 100 // 25 for number in chosen[:16]} == set(range(4)), "the first of them are of every size too"
    assert sorted(spread(iter([3, 1, 2]), 3, 48)) == [1, 2, 3]
    assert spread([], 0, 48) == []
