"""Each node's damage in 8 bits is measured once, resumably and within a time limit."""

from pathlib import Path

import pytest

from onnxserve_export.records import Sensitivity
from onnxserve_export.sensitivity import explore, read, write

NODES = ["a", "b", "c", "d"]

DAMAGE = {"a": 3.0, "b": 1.0, "c": 2.0, "d": 0.5}


class Interrupted(Exception):
    pass


def run(path: Path, minutes: float = 1, stop_at: str = "", nodes: list[str] = NODES) -> tuple[Sensitivity, list[str]]:
    measured: list[str] = []

    def measure(name: str) -> float:
        if name == stop_at:
            raise Interrupted
        measured.append(name)
        return DAMAGE[name]

    return explore(path, "graph", nodes, measure, minutes, lambda *_: None), measured


def test_nodes_are_ranked_by_the_damage_that_each_does_alone(tmp_path):
    sensitivity, measured = run(tmp_path / "s.json")
    assert measured == NODES
    assert sensitivity.ranking == ["d", "b", "c", "a"]


def test_an_interrupted_search_goes_on_where_it_stopped(tmp_path):
    path = tmp_path / "s.json"
    with pytest.raises(Interrupted):
        run(path, stop_at="c")
    kept = read(path)
    assert kept
    assert list(kept.damage) == ["a", "b"]
    sensitivity, measured = run(path)
    assert measured == ["c", "d"]
    assert sensitivity.ranking == ["d", "b", "c", "a"]
    assert run(path)[1] == []


def test_a_search_ends_in_time_and_nodes_it_did_not_reach_are_left_out(tmp_path):
    sensitivity, measured = run(tmp_path / "s.json", minutes=-1)
    assert measured == []
    assert sensitivity.ranking == []


def test_nodes_that_are_gone_are_forgotten_and_new_ones_measured(tmp_path):
    path = tmp_path / "s.json"
    run(path, nodes=["a", "b"])
    sensitivity, measured = run(path, nodes=["b", "c"])
    assert measured == ["c"]
    assert sensitivity.ranking == ["b", "c"]


def test_half_a_ranking_of_other_weights_is_begun_anew_and_a_whole_one_kept(tmp_path):
    path = tmp_path / "s.json"
    write(path, Sensitivity("other", {"a": 9.0}))
    assert run(path)[1] == NODES
    write(path, Sensitivity("other", dict.fromkeys(NODES, 1.0)))
    sensitivity, measured = run(path)
    assert measured == []
    assert sensitivity.graph == "other"


def test_a_damaged_record_counts_as_none(tmp_path):
    path = tmp_path / "s.json"
    path.write_text('{"graph": ')
    assert read(path) is None
    assert run(path)[1] == NODES


def test_a_record_is_rounded_so_that_it_reads_well_in_a_diff(tmp_path):
    write(tmp_path / "s.json", Sensitivity("g", {"a": 0.123456789}))
    assert '"a": 0.1235' in (tmp_path / "s.json").read_text()
