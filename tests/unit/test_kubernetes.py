"""The labels as manifests for a cluster."""

import re
from typing import Any

import pytest
import yaml

from onnxserve.gateway import Canary, GatewayConfig, Labels, Model, Share
from onnxserve.gateway.config import Kubernetes
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
    assert predictor["model"]["storageUri"] == "pvc://models/demo/1.0.0"


@pytest.mark.parametrize(("percent", "whole"), [(2.5, 2), (0.2, 1), (99.9, 99)])
def test_knative_splits_in_whole_percents_and_leaves_neither_version_without_any(percent, whole):
    service = documents(Model(VERSIONS, "1.0.0", canary=Canary("2.0.0", percent)))["inferenceservice-demo.yaml"]
    assert service["metadata"]["annotations"] == {"serving.kserve.io/deploymentMode": "Knative"}
    assert service["spec"]["predictor"]["canaryTrafficPercent"] == whole
    assert service["spec"]["predictor"]["model"]["storageUri"].endswith("demo/2.0.0")


def test_kserves_standard_mode_has_a_service_for_each_version_and_the_route_splits():
    config = GatewayConfig(kubernetes=Kubernetes(kserve="standard", storage="s3://models"))
    files = {name: yaml.safe_load(text) for name, text in kubernetes_files(config, Labels({"demo": MODEL})).items()}
    for version in ("1.0.0", "2.0.0"):
        service = files[f"inferenceservice-demo-{version.replace('.', '-')}.yaml"]
        assert service["metadata"]["annotations"] == {"serving.kserve.io/deploymentMode": "Standard"}
        assert "canaryTrafficPercent" not in service["spec"]["predictor"]
        assert service["spec"]["predictor"]["model"]["storageUri"] == f"s3://models/demo-{version}.mar"
    [rule] = files["httproute-demo.yaml"]["spec"]["rules"]
    backends = {backend["name"]: (backend["weight"], backend["port"]) for backend in rule["backendRefs"]}
    assert backends == {"demo-1-0-0-predictor": (9750, 80), "demo-2-0-0-predictor": (250, 80)}


def test_models_whose_names_differ_in_signs_share_no_file():
    names = ["a.b", "a_b", "a-b", "A-b", "1a", "x" * 80, "x" * 79 + "y"]
    files = kubernetes_files(GatewayConfig(), Labels(dict.fromkeys(names, MODEL)))
    assert len(files) == 3 * len(names)
    for content in files.values():
        assert re.fullmatch("[a-z]([a-z0-9-]{0,61}[a-z0-9])?", yaml.safe_load(content)["metadata"]["name"])


def test_the_analysis_asks_for_the_canarys_own_counters():
    template = documents(MODEL)["analysistemplate-demo.yaml"]
    assert template["spec"]["args"] == [{"name": "version", "value": "2.0.0"}]
    for metric in template["spec"]["metrics"]:
        assert 'model="demo",version="{{args.version}}"' in metric["provider"]["prometheus"]["query"]


@pytest.mark.parametrize(("name", "version", "called"), [("demo", "1.0", "demo-1-0"), ("a-b", "", "a-b")])
def test_names_that_kubernetes_takes_are_left_as_they_are(name, version, called):
    assert dns(name, version) == called
