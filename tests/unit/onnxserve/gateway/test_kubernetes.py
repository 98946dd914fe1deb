"""The labels as manifests for a cluster."""

import json
import re
from typing import Any

import jsonschema
import pytest
import yaml

from onnxserve.gateway import Canary, GatewayConfig, Model, Roles, Share
from onnxserve.gateway.config import Kubernetes
from onnxserve.gateway.kubernetes import dns_label, duration, kubernetes_files
from tests import ROOT

VERSIONS = {"1.0.0": "a" * 64, "2.0.0": "b" * 64}
SCHEMAS = json.loads((ROOT / "tests" / "schemas" / "kserve.json").read_text())
MODEL = Model(VERSIONS, "1.0.0", canary=Canary("2.0.0", 2.5), shadow=Share("2.0.0", 0.5))


def documents(model: Model) -> dict[str, Any]:
    files = kubernetes_files(GatewayConfig(), Roles({"demo": model}))
    return {name: yaml.safe_load(content) for name, content in files.items()}


def test_shares_are_weights_and_the_shadow_is_a_mirror():
    route = documents(MODEL)["httproute-demo.yaml"]
    [rule] = route["spec"]["rules"]
    assert {backend["name"]: backend["weight"] for backend in rule["backendRefs"]} == {
        "demo-1-0-0": 975_000,
        "demo-2-0-0": 25_000,
    }
    [mirror] = rule["filters"]
    assert mirror["requestMirror"]["backendRef"]["name"] == "demo-2-0-0"
    assert mirror["requestMirror"]["fraction"] == {"numerator": 5_000, "denominator": 1_000_000}
    assert [match["path"]["value"] for match in rule["matches"]] == [
        "/predictions/demo",
        "/v2/models/demo/infer",
        "/v1/models/demo:predict",
    ]


@pytest.mark.parametrize("percent", [1e-5, 0.004, 99.999, 99.99999])
def test_a_share_of_a_route_is_never_rounded_to_nothing_or_to_all(percent):
    model = Model(VERSIONS, "1.0.0", canary=Canary("2.0.0", percent), shadow=Share("2.0.0", percent))
    [rule] = documents(model)["httproute-demo.yaml"]["spec"]["rules"]
    weights = [backend["weight"] for backend in rule["backendRefs"]]
    assert sum(weights) == 1_000_000
    assert min(weights) > 0
    fraction = rule["filters"][0]["requestMirror"]["fraction"]
    assert 0 < fraction["numerator"] < fraction["denominator"]


def test_a_name_that_ends_like_a_version_is_taken_for_no_other_models_version():
    config = GatewayConfig(kubernetes=Kubernetes(kserve="standard"))
    models = {"a": Model({"1.0.0": "a" * 64}, "1.0.0"), "a-1": Model({"0.0": "b" * 64}, "0.0")}
    files = kubernetes_files(config, Roles(models))
    assert len([name for name in files if name.startswith("inferenceservice-")]) == 2


def test_versions_of_other_peoples_archives_make_names_that_kubernetes_takes():
    versions = ["1.0.0-RC1", "1.0.0+cu12", "1.0.0_rc1", "v" * 128, "1.0.0-rc.1", "1.0.0-rc-1"]
    names = {dns_label("demo", version) for version in versions}
    assert len(names) == len(versions)
    assert all(re.fullmatch("[a-z]([a-z0-9-]{0,61}[a-z0-9])?", name) for name in names), names


def test_without_a_canary_all_goes_to_the_stable_version():
    files = documents(Model(VERSIONS, "1.0.0"))
    [rule] = files["httproute-demo.yaml"]["spec"]["rules"]
    assert [backend["name"] for backend in rule["backendRefs"]] == ["demo-1-0-0"]
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
    files = {name: yaml.safe_load(text) for name, text in kubernetes_files(config, Roles({"demo": MODEL})).items()}
    for version in ("1.0.0", "2.0.0"):
        service = files[f"inferenceservice-demo-{version.replace('.', '-')}.yaml"]
        assert service["metadata"]["annotations"] == {"serving.kserve.io/deploymentMode": "Standard"}
        assert "canaryTrafficPercent" not in service["spec"]["predictor"]
        assert service["spec"]["predictor"]["model"]["storageUri"] == f"s3://models/demo-{version}.mar"
    [rule] = files["httproute-demo.yaml"]["spec"]["rules"]
    backends = {backend["name"]: (backend["weight"], backend["port"]) for backend in rule["backendRefs"]}
    assert backends == {"demo-1-0-0-predictor": (975_000, 80), "demo-2-0-0-predictor": (25_000, 80)}


def test_models_whose_names_differ_in_signs_share_no_file():
    names = ["a.b", "a_b", "a-b", "A-b", "1a", "x" * 80, "x" * 79 + "y"]
    files = kubernetes_files(GatewayConfig(), Roles(dict.fromkeys(names, MODEL)))
    assert len(files) == 3 * len(names)
    for content in files.values():
        assert re.fullmatch("[a-z]([a-z0-9-]{0,61}[a-z0-9])?", yaml.safe_load(content)["metadata"]["name"])


@pytest.mark.parametrize("mode", ["knative", "standard"])
def test_the_longest_names_are_names_of_what_kserve_makes_of_them_too(mode):
    config = GatewayConfig(kubernetes=Kubernetes(kserve=mode))
    files = kubernetes_files(config, Roles({"a" + "b" * 59: MODEL, "c" * 48: MODEL}))
    manifests = [yaml.safe_load(content) for content in files.values()]
    services = [manifest["metadata"]["name"] for manifest in manifests if manifest["kind"] == "InferenceService"]
    assert all(len(f"{name}-predictor-00001") <= 63 for name in services), services
    if mode == "standard":
        routes = [manifest["spec"]["rules"][0] for manifest in manifests if manifest["kind"] == "HTTPRoute"]
        backends = {backend["name"] for rule in routes for backend in rule["backendRefs"]}
        assert backends == {f"{name}-predictor" for name in services}


@pytest.mark.parametrize("mode", ["knative", "standard"])
@pytest.mark.parametrize("storage", ["pvc://models", "pvc://models/store/", "s3://models"])
def test_what_kserve_is_given_is_as_its_own_schema_wants_it(mode, storage):
    config = GatewayConfig(kubernetes=Kubernetes(kserve=mode, storage=storage))
    roles = Roles({"demo": MODEL, "a.b": Model(VERSIONS, "1.0.0")})
    documents = [yaml.safe_load(content) for content in kubernetes_files(config, roles).values()]
    services = [manifest for manifest in documents if manifest["kind"] == "InferenceService"]
    assert len(services) == (3 if mode == "standard" else 2)
    for manifest in services:
        jsonschema.validate(manifest, SCHEMAS["InferenceService"])
        uri = manifest["spec"]["predictor"]["model"]["storageUri"]
        assert uri.endswith(".mar") == (storage == "s3://models")
        assert "//" not in uri.partition("://")[2]
    services[0]["spec"]["predictor"]["canaryTrafficPercent"] = 2.5
    with pytest.raises(jsonschema.ValidationError, match="integer"):
        jsonschema.validate(services[0], SCHEMAS["InferenceService"])


def test_what_is_shipped_for_kserve_is_as_its_own_schema_wants_it():
    documents = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "deploy" / "kserve").glob("*.yaml"))]
    assert {manifest["kind"] for manifest in documents} == {"InferenceService", "ServingRuntime"}
    for manifest in documents:
        jsonschema.validate(manifest, SCHEMAS[manifest["kind"]])
        manifest["spec"]["canaryPercent"] = 10
        with pytest.raises(jsonschema.ValidationError, match="canaryPercent"):
            jsonschema.validate(manifest, SCHEMAS[manifest["kind"]])


def test_the_analysis_asks_for_the_canarys_own_counters():
    template = documents(MODEL)["analysistemplate-demo.yaml"]
    assert template["spec"]["args"] == [{"name": "version", "value": "2.0.0"}]
    for metric in template["spec"]["metrics"]:
        assert 'model="demo",version="{{args.version}}"' in metric["provider"]["prometheus"]["query"]


@pytest.mark.parametrize(("seconds", "written"), [(30, "30s"), (0.5, "500ms"), (1.25, "1s250ms"), (600, "600s")])
def test_durations_are_as_gateway_api_takes_them(seconds, written):
    assert duration(seconds) == written
    assert re.fullmatch("([0-9]{1,5}(h|m|s|ms)){1,4}", written)  # the pattern of its schema


@pytest.mark.parametrize(("name", "version", "called"), [("demo", "1.0", "demo-1-0"), ("a-b", "", "a-b")])
def test_names_that_kubernetes_takes_are_left_as_they_are(name, version, called):
    assert dns_label(name, version) == called
