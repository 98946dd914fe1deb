"""The search for the nodes that may be in 8 bits: resumable, bounded, cheapest first."""

from pathlib import Path

import numpy as np
import pytest
from onnxruntime.quantization import QuantType

from onnxserve_export.drop_bound import drop_bound
from onnxserve_export.flip_estimate import (
    expected_flips,
    expected_moves,
    likely_counts,
    likely_drop,
    likely_mean,
    likely_share,
)
from onnxserve_export.int8 import types_for
from onnxserve_export.plots import bars, pareto
from onnxserve_export.records import Sensitivity
from onnxserve_export.search import longest_prefix
from onnxserve_export.sensitivity import explore, read, write

NODES = ["a", "b", "c", "d"]
DAMAGE = {"a": 3.0, "b": 1.0, "c": 2.0, "d": 0.5}


class Interrupted(Exception):
    pass


def run(path: Path, minutes: float = 1, stop_at: str = "", nodes: list[str] = NODES) -> tuple[Sensitivity, list[str]]:
    asked: list[str] = []

    def measure(name: str) -> float:
        if name == stop_at:
            raise Interrupted
        asked.append(name)
        return DAMAGE[name]

    return explore(path, "graph", nodes, measure, minutes, lambda *_: None), asked


def test_nodes_are_ranked_by_the_damage_that_each_does_alone(tmp_path):
    sensitivity, asked = run(tmp_path / "s.json")
    assert asked == NODES
    assert sensitivity.ranking == ["d", "b", "c", "a"]


def test_an_interrupted_search_goes_on_where_it_stopped(tmp_path):
    path = tmp_path / "s.json"
    with pytest.raises(Interrupted):
        run(path, stop_at="c")
    kept = read(path)
    assert kept
    assert list(kept.damage) == ["a", "b"]
    sensitivity, asked = run(path)
    assert asked == ["c", "d"]
    assert sensitivity.ranking == ["d", "b", "c", "a"]
    assert run(path)[1] == []


def test_a_search_ends_in_time_and_nodes_it_did_not_reach_are_left_out(tmp_path):
    sensitivity, asked = run(tmp_path / "s.json", minutes=-1)
    assert asked == []
    assert sensitivity.ranking == []


def test_nodes_that_are_gone_are_forgotten_and_new_ones_measured(tmp_path):
    path = tmp_path / "s.json"
    run(path, nodes=["a", "b"])
    sensitivity, asked = run(path, nodes=["b", "c"])
    assert asked == ["c"]
    assert sensitivity.ranking == ["b", "c"]


def test_half_a_ranking_of_other_weights_is_begun_anew_and_a_whole_one_kept(tmp_path):
    path = tmp_path / "s.json"
    write(path, Sensitivity("other", {"a": 9.0}))
    assert run(path)[1] == NODES
    write(path, Sensitivity("other", dict.fromkeys(NODES, 1.0)))
    sensitivity, asked = run(path)
    assert asked == []
    assert sensitivity.graph == "other"


def test_a_damaged_record_counts_as_none(tmp_path):
    path = tmp_path / "s.json"
    path.write_text('{"graph": ')
    assert read(path) is None
    assert run(path)[1] == NODES


def test_a_record_is_rounded_so_that_it_reads_well_in_a_diff(tmp_path):
    write(tmp_path / "s.json", Sensitivity("g", {"a": 0.123456789}))
    assert '"a": 0.1235' in (tmp_path / "s.json").read_text()


@pytest.mark.parametrize("allowed", range(5))
def test_the_longest_run_of_cheapest_nodes_that_holds_is_found_in_few_tries(allowed):
    tries: list[int] = []

    def holds(nodes: list[str]) -> bool:
        tries.append(len(nodes))
        return bool(len(nodes) <= allowed)

    assert longest_prefix(NODES, holds) == NODES[:allowed]
    assert len(tries) <= 3


def test_flips_are_foreseen_from_gaps_and_errors_better_than_counted_on_few_rows():
    draws = np.random.default_rng(5)
    many = draws.normal(size=(40_000, 3)) * 4
    noisy = many + draws.normal(size=many.shape) * 0.1
    true = float(np.mean(many.argmax(-1) != noisy.argmax(-1)))
    parts = [slice(start, start + 200) for start in range(0, 40_000, 200)]
    expected = [expected_flips(many[part], noisy[part]) for part in parts]
    counted = [float(np.mean(many[part].argmax(-1) != noisy[part].argmax(-1))) for part in parts]
    assert np.mean(expected) == pytest.approx(true, rel=0.15)
    assert np.std(expected) < 0.7 * np.std(counted)
    assert expected_flips(many, many) == 0


@pytest.mark.parametrize("chance", [0.5, 2 / 3, 0.9])
def test_a_likely_result_or_a_better_one_comes_as_often_as_said(chance):
    draws = np.random.default_rng(6)
    flips, rows = 0.02, 1000
    wrong, right = likely_counts(flips, rows, chance)
    allowed = drop_bound(wrong, right, rows, 0.04)
    counts = draws.multinomial(rows, [flips / 2, flips / 2, 1 - flips], 400).tolist()
    kept = sum(drop_bound(wrong, right, rows, 0.04) <= allowed + 1e-9 for wrong, right, _ in counts)
    assert chance - 0.08 < kept / 400 < chance + 0.12


def test_a_drop_on_the_select_rows_is_foreseen_as_one():
    assert likely_drop(0.3, 800, 0.04, 0.5, drop=0.2) > 0.2 > likely_drop(0.3, 800, 0.04, 0.5)


def test_moves_are_foreseen_from_the_size_of_errors_and_heavy_tails_from_their_count():
    draws = np.random.default_rng(7)
    errors = np.abs(draws.normal(size=20_000)) * 0.015
    true = float(np.mean(errors > 0.03))
    assert expected_moves(errors[:2000], 0.03) == pytest.approx(true, rel=0.3)
    heavy = np.where(draws.random(2000) < 0.05, 10.0, 0.0)
    assert expected_moves(heavy, 0.03) >= 0.02
    assert expected_moves(np.zeros(10), 0.03) == 0


def test_a_mean_is_foreseen_to_be_bounded_closer_by_more_rows():
    drops = np.random.default_rng(8).normal(0, 0.05, 200)
    assert likely_mean(drops, 1.0, 400, 0.04, 0.5) > likely_mean(drops, 1.0, 4000, 0.04, 0.5)
    assert likely_mean(drops, 1.0, 400, 0.04, 0.9) > likely_mean(drops, 1.0, 400, 0.04, 0.5)
    assert likely_share(0.01, 400, 0.04, 0.9) > likely_share(0.01, 400, 0.04, 0.5) > 0.01


@pytest.mark.parametrize(
    ("flags", "reduced"),
    [(["avx2"], True), (["avx2", "avx512f"], True), (["avx2", "avx_vnni"], False), (["i8mm"], False)],
)
def test_weights_take_7_bits_where_products_would_saturate(flags, reduced):
    assert types_for(flags).reduce_range is reduced


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_gpus_get_signed_types_whatever_the_cpu(provider):
    types = types_for(["avx2"], provider)
    assert types.activation == types.weight == QuantType.QInt8
    assert not types.reduce_range


def variant(name: str, bound: float, refusal: str = "") -> dict[str, object]:
    return {"variant": name, "select": {"bound": 1.0}, "paired": {"bound": bound}, "megabytes": 1.0, "refusal": refusal}


def test_the_faster_lies_to_the_right_and_the_worse_above_the_budget():
    drawn = pareto([variant("good", 0.005), variant("bad", 0.5, "no")], {"torch": 4.0, "good": 2.0, "bad": 1.0}, 0.01)
    assert drawn
    good, bad = drawn.points
    assert good.x < bad.x
    assert good.y > drawn.budget_y > bad.y
    assert (good.speedup, bad.speedup, bad.passed) == (2.0, 4.0, False)
    assert pareto([variant("good", 0.1)], {}, 0.01) is None


def test_the_most_damaging_node_has_the_longest_bar():
    rows = bars({"damage": DAMAGE}, ["a"])
    assert [name for name, *_ in rows] == ["a", "c", "b", "d"]
    assert rows[0][2] == pytest.approx(1.0)
    assert [kept for *_, kept in rows] == [True, False, False, False]
    assert bars(None, []) == []
