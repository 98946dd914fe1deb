"""The labels as manifests for a cluster."""

from typing import Any

import pytest
import yaml

from onnxserve.gateway import Canary, GatewayConfig, Labels, Model, Share
from onnxserve.gateway.kubernetes import dns, kubernetes_files

VERSIONS = {"1.0.0": "a" * 64, "2.0.0": "b" * 64}
MODEL = Model(VERSIONS, "1.0.0", canary=Canary("2.0.0", 2.5), shadow=Share("2.0.0", 0.5))


def documents(model: Model) -> dict[str, Any]:
    files = kubernetes_files(GatewayConfig(), Labels({"demo": model}))
    return {name: yaml.safe_load(content) for name, content in files.items()}


def test_shares_are_weights_and_the_shadow_is_a_mirror():
    route = documents(MODEL)["httproute-demo.yaml"]
    [rule] = route["spec"]["rules"]
    assert {one["name"]: one["weight"] for one in rule["backendRefs"]} == {"demo-1-0-0": 9750, "demo-2-0-0": 250}
    [mirror] = rule["filters"]
    assert mirror["requestMirror"]["backendRef"]["name"] == "demo-2-0-0"
    assert mirror["requestMirror"]["fraction"] == {"numerator": 5_000, "denominator": 1_000_000}
    assert [one["path"]["value"] for one in rule["matches"]] == [
        "/predictions/demo",
        "/v2/models/demo/infer",
        "/v1/models/demo:predict",
    ]


def test_without_a_canary_all_goes_to_the_stable_version():
    files = documents(Model(VERSIONS, "1.0.0"))
    [rule] = files["httproute-demo.yaml"]["spec"]["rules"]
    assert [one["name"] for one in rule["backendRefs"]] == ["demo-1-0-0"]
    assert "filters" not in rule
    predictor = files["inferenceservice-demo.yaml"]["spec"]["predictor"]
    assert "canaryTrafficPercent" not in predictor
    assert predictor["model"]["storageUri"] == "pvc://models/demo-1.0.0.mar"


def test_kserve_gets_the_canarys_archive_and_its_percentage():
    predictor = documents(MODEL)["inferenceservice-demo.yaml"]["spec"]["predictor"]
    assert predictor["canaryTrafficPercent"] == 2
    assert predictor["model"]["storageUri"].endswith("demo-2.0.0.mar")


def test_the_analysis_asks_for_the_canarys_own_counters():
    template = documents(MODEL)["analysistemplate-demo.yaml"]
    assert template["spec"]["args"] == [{"name": "version", "value": "2.0.0"}]
    for metric in template["spec"]["metrics"]:
        assert 'model="demo",version="{{args.version}}"' in metric["provider"]["prometheus"]["query"]


@pytest.mark.parametrize(
    ("parts", "name"),
    [(("Demo_x", "1.0"), "demo-x-1-0"), (("a" * 80, "1"), "a" * 63), (("a.b",), "a-b")],
)
def test_names_are_what_kubernetes_takes(parts, name):
    assert dns(*parts) == name
