"""What becomes of traffic.toml and the labels."""

import json
import sys
from typing import Any

import msgspec
import pytest

from onnxserve.config import Settings
from onnxserve.doctor import checks
from onnxserve.edge import Canary, Edge, Intent, Labels, Model, Share, read_intent, read_labels
from onnxserve.edge.envoy.grpc import described
from onnxserve.edge.labels import write_labels
from onnxserve.edge.render import render
from onnxserve.errors import EdgeError
from onnxserve.places import resource

MODEL = Model({"1.0": "a" * 64, "2.0": "b" * 64, "3.0": "c" * 64}, "2.0", "1.0")


def rendered(tmp_path, model: Model, intent: Intent | None = None) -> dict[str, Any]:
    files = render(Edge(intent or Intent(), tmp_path, 8080, 8081), Labels({"demo": model}))
    return {name: json.loads(content) for name, content in files.items() if name.endswith(".json")}


def route(files: dict[str, Any], path: str, method: str = "POST") -> dict[str, Any]:
    [routes] = files["routes.json"]["resources"]
    for one in routes["virtual_hosts"][0]["routes"]:
        wanted = one["match"].get("headers", [{"string_match": {"exact": method}}])
        if one["match"].get("path") == path and wanted[0]["string_match"]["exact"] == method:
            found: dict[str, Any] = one
            return found
    raise AssertionError(path)


def shares(one: dict[str, Any]) -> dict[str, int]:
    return {part["name"]: part["weight"] for part in one["route"]["weighted_clusters"]["clusters"]}


def test_the_shipped_file_says_the_defaults():
    shipped = read_intent(resource("traffic.toml"))
    assert shipped.auth.keys == str(resource("traffic.toml").resolve().parent / "keys.json")
    assert msgspec.structs.replace(shipped, auth=Intent().auth) == Intent()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[listen]\nport = 0", "$.listen.port"),
        ("[listen]\nprot = 1", "prot"),
        ("[cache]\nseconds = 'a'", "$.cache.seconds"),
        ("[deadline]\nanswer_s = 0", "$.deadline.answer_s"),
        ("[listen", "not valid TOML"),
    ],
)
def test_a_wrong_traffic_file_is_refused_with_the_field(tmp_path, text, words):
    path = tmp_path / "traffic.toml"
    path.write_text(text)
    with pytest.raises(EdgeError) as raised:
        read_intent(path)
    assert words in raised.value.what
    assert raised.value.where == str(path)


def test_a_missing_traffic_file_is_said(tmp_path):
    with pytest.raises(EdgeError, match="can't read the traffic file"):
        read_intent(tmp_path / "no.toml")


def test_labels_survive_and_damage_is_said(tmp_path):
    labels = Labels({"demo": Model({"1.0": "a"}, "1.0", canary=Canary("1.0", 5, "x-user"), shadow=Share("1.0", 2))})
    write_labels(tmp_path / "labels.json", labels)
    assert read_labels(tmp_path / "labels.json") == labels
    (tmp_path / "labels.json").write_text("{")
    with pytest.raises(EdgeError, match="damaged"):
        read_labels(tmp_path / "labels.json")


def test_without_a_canary_all_goes_to_the_stable_version_which_falls_back_to_the_one_before(tmp_path):
    files = rendered(tmp_path, MODEL)
    assert shares(route(files, "/predictions/demo")) == {"demo/2.0+1.0": 10_000}
    assert route(files, "/predictions/demo/3.0")["route"]["cluster"] == "demo/3.0"


def test_a_canary_gets_its_share_and_falls_back_to_stable(tmp_path):
    model = Model(MODEL.versions, "2.0", canary=Canary("3.0", 0.05))
    one = route(rendered(tmp_path, model), "/v2/models/demo/infer")
    assert shares(one) == {"demo/2.0": 9_995, "demo/3.0+2.0": 5}
    assert "hash_policy" not in one["route"]


def test_an_ab_split_goes_by_the_header(tmp_path):
    model = Model(MODEL.versions, "2.0", canary=Canary("3.0", 50, "x-user"))
    one = route(rendered(tmp_path, model), "/v1/models/demo:predict")
    assert one["route"]["hash_policy"] == [{"header": {"header_name": "x-user"}}]


def test_a_shadow_gets_copies_under_its_own_host(tmp_path):
    model = Model(MODEL.versions, "2.0", shadow=Share("3.0", 12.5))
    [copy] = route(rendered(tmp_path, model), "/predictions/demo")["route"]["request_mirror_policies"]
    assert copy["cluster"] == "demo/3.0~shadow"
    assert copy["host_rewrite_literal"] == "cccccccccccc.v3.0.m.demo"
    assert copy["runtime_fraction"]["default_value"]["numerator"] == 125_000


def test_every_cluster_that_a_route_names_is_there(tmp_path):
    model = Model(MODEL.versions, "2.0", "1.0", Canary("3.0", 5), Share("1.0", 5))
    files = rendered(tmp_path, model)
    known = {one["name"] for one in files["clusters.json"]["resources"]}
    text = json.dumps(files["routes.json"])
    for name in ("demo/2.0+1.0", "demo/3.0+2.0", "demo/1.0~shadow"):
        assert name in known
        assert f'"{name}"' in text


def test_management_is_never_a_route(tmp_path):
    [routes] = rendered(tmp_path, MODEL)["routes.json"]["resources"]
    paths = [one["match"].get("path", "") for one in routes["virtual_hosts"][0]["routes"]]
    assert not [path for path in paths if path.startswith(("/models", "/api-description", "/workflows"))]


def test_the_same_intent_and_labels_render_to_the_same_bytes(tmp_path):
    edge = Edge(Intent(), tmp_path, 8080, 8081)
    assert render(edge, Labels({"demo": MODEL})) == render(edge, Labels({"demo": MODEL}))


def test_doctor_says_when_the_edge_is_open_to_everybody_or_its_file_is_wrong(tmp_path):
    traffic = tmp_path / "traffic.toml"
    settings = Settings(resource("config.properties"), traffic=traffic)
    for text, words, fix in (
        ("", "on 127.0.0.1:8000", ""),
        ("[listen]\nhost = '0.0.0.0'", "open to everybody", "required"),
        ("[listen]\nhost = '0.0.0.0'\n[auth]\nrequired = true", "on 0.0.0.0:8000", ""),
        ("[listen]\nport = 0", "$.listen.port", "docs/55-edge.md"),
    ):
        traffic.write_text(text)
        finding = checks.edge(settings)
        assert words in finding.found
        assert fix in finding.fix
        assert bool(fix) == bool(finding.fix)


def test_calls_without_the_extra_are_refused_in_words(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.api", None)
    with pytest.raises(EdgeError, match=r"google\.api is not installed"):
        described()
