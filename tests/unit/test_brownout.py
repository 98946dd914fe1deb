"""The ladder of what a busy model gives up."""

from typing import Any

from onnxserve.edge import Canary, Edge, Intent, Labels, Model, Share
from onnxserve.edge.envoy.actions import shared
from onnxserve.edge.envoy.clusters import clusters
from onnxserve.edge.pressure import Pressure
from onnxserve.release.brownout import DOWN_AFTER, UP_AFTER, Rung
from onnxserve.release.moves import difference, levelled, smaller

VERSIONS = {"1.0": "a" * 64, "2.0": "b" * 64, "3.0": "c" * 64}


def levels(rung: Rung, level: int, *looks: Pressure) -> list[int]:
    found = []
    for look in looks:
        level = rung.next(level, look)
        found.append(level)
    return found


def test_a_busy_model_climbs_one_rung_at_a_time_and_no_further_than_the_last():
    found = levels(Rung(), 0, *[Pressure(0.9, 0)] * (UP_AFTER * 6))
    assert found[UP_AFTER - 2 : UP_AFTER] == [0, 1]
    assert found[2 * UP_AFTER - 1] == 2
    assert found[-1] == 3


def test_refusals_count_as_busy_however_few_are_under_way():
    looks = [Pressure(0.1, count) for count in range(10, 10 + UP_AFTER + 1)]
    assert levels(Rung(), 0, *looks)[-1] == 1


def test_a_calm_model_comes_down_slowly_and_a_short_peak_changes_nothing():
    assert levels(Rung(), 2, *[Pressure(0.1, 5)] * DOWN_AFTER)[-2:] == [2, 1]
    peak = [Pressure(0.9, 0)] * (UP_AFTER - 1) + [Pressure(0.5, 0)] + [Pressure(0.9, 0)] * (UP_AFTER - 1)
    assert levels(Rung(), 0, *peak)[-1] == 0


def route(level: int) -> dict[str, Any]:
    model = Model(VERSIONS, "1.0", canary=Canary("2.0", 5), shadow=Share("2.0", 100), smaller="3.0", level=level)
    return shared(Intent(), "demo", model)


def names(found: dict[str, Any]) -> list[str]:
    return [one["name"] for one in found["route"]["weighted_clusters"]["clusters"]]


def test_the_first_rung_ends_copies_and_the_last_sends_to_the_smaller_version():
    assert "request_mirror_policies" in route(0)["route"]
    assert "request_mirror_policies" not in route(1)["route"]
    assert names(route(2)) == ["demo/1.0", "demo/2.0+1.0"]
    assert names(route(3)) == ["demo/3.0+1.0"]
    said = {one["header"]["key"]: one["header"]["value"] for one in route(3)["request_headers_to_add"]}
    assert (said["x-onnxserve-level"], said["x-onnxserve-smaller"]) == ("3", "3.0")


def test_the_smaller_versions_cluster_is_there_before_it_is_needed(tmp_path):
    labels = smaller(Labels({"demo": Model(VERSIONS, "1.0")}), "demo", "3.0")
    edge = Edge(Intent(), tmp_path, 1, 2)
    assert "demo/3.0+1.0" in {one["name"] for one in clusters(edge.intent, labels, tmp_path)}


def test_the_ladder_is_told_in_words():
    labels = Labels({"demo": Model(VERSIONS, "1.0")})
    assert difference(labels, levelled(labels, "demo", 2)) == [
        "demo level: 0 without nothing -> 2 without fresh answers"
    ]
