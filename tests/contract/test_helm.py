"""The chart, rendered by the real Helm for each value file and held to the schemas of what it makes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from onnxserve.gateway import Canary, GatewayConfig, Model, Roles, Share, read_config
from onnxserve.gateway.config import Kubernetes
from onnxserve.gateway.kubernetes import kubernetes_files
from onnxserve.monitoring.counters import Counters
from tests.helpers.npm import install_packages

ROOT = Path(__file__).parents[2]
HELM = ROOT / "deploy" / "helm"
CHART = HELM / "onnxserve"
SCHEMAS = ROOT / "tests" / "schemas"
VALUES = sorted((HELM / "values").glob("*.yaml"))
KUBERNETES = "1.33"
OWN = {"ScaledObject", "PodMonitor"}  # custom resources with a schema in a package
Document = dict[str, Any]

# HTTPScaledObject is in none; what it may hold, from
# https://github.com/kedacore/http-add-on/blob/main/docs/ref/v0.10.0/http_scaled_object.md and its config/crd/bases.
TEXT, COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}


def exactly(**fields: Any) -> Document:
    return {"type": "object", "properties": fields, "additionalProperties": False}


TO_ZERO = exactly(
    hosts={"type": "array", "items": TEXT},
    pathPrefixes={"type": "array", "items": TEXT},
    scaleTargetRef=exactly(name=TEXT, kind=TEXT, apiVersion=TEXT, service=TEXT, port=COUNT)
    | {"required": ["service", "port"]},
    replicas=exactly(min=COUNT, max=COUNT),
    scaledownPeriod=COUNT,
    scalingMetric=exactly(
        concurrency=exactly(targetValue=COUNT),
        requestRate=exactly(targetValue=COUNT, window=TEXT, granularity=TEXT),
    ),
) | {"required": ["scaleTargetRef"]}


def helm(*words: str) -> subprocess.CompletedProcess[str]:
    binary = Path(sys.executable).with_name("helm")
    return subprocess.run([str(binary), *words], cwd=HELM, capture_output=True, text=True, check=False)


def rendered(*words: str) -> list[Document]:
    completed = helm("template", "demo", str(CHART), "--namespace", "models", *words)
    assert completed.returncode == 0, completed.stderr
    return [document for document in yaml.safe_load_all(completed.stdout) if document]


def of(documents: list[Document], kind: str) -> Document:
    [matching] = [document for document in documents if document["kind"] == kind]
    return matching


def container(documents: list[Document]) -> Document:
    [only] = of(documents, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(only)


@pytest.fixture(scope="session")
def schemas(tmp_path_factory) -> Path:
    """The packages with the custom resources' schemas, installed once."""
    folder: Path = tmp_path_factory.mktemp("schemas")
    for name in ("package.json", "package-lock.json", "validate.mjs"):
        shutil.copy(SCHEMAS / name, folder)
    install_packages(folder)
    return folder


def refused(schemas: Path, documents: list[Document]) -> str:
    """What the custom resources' schemas say."""
    node = shutil.which("node")
    assert node
    completed = subprocess.run(
        [node, "validate.mjs"], cwd=schemas, input=json.dumps(documents), capture_output=True, text=True, check=True
    )
    return completed.stdout


@pytest.mark.parametrize("values", [None, *VALUES], ids=lambda path: path.stem if path else "defaults")
def test_every_value_file_is_linted_rendered_and_as_the_schemas_want_it(values, schemas):
    words = ["--values", str(values)] if values else []
    linted = helm("lint", "--strict", str(CHART), *words)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    documents = rendered(*words)
    for document in documents:
        if document["kind"] == "HTTPScaledObject":
            jsonschema.validate(document["spec"], TO_ZERO)
        elif document["kind"] not in OWN:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
    assert refused(schemas, [document for document in documents if document["kind"] in OWN]) == ""


def test_routes_and_analyses_of_the_gateway_are_as_their_schemas_want_them(schemas):
    model = Model({"1.0.0": "a", "2.0.0": "b"}, "1.0.0", canary=Canary("2.0.0", 2.5), shadow=Share("2.0.0", 0.5))
    for mode in ("knative", "standard"):
        config = GatewayConfig(kubernetes=Kubernetes(kserve=mode))
        documents = [yaml.safe_load(text) for text in kubernetes_files(config, Roles({"a_b": model})).values()]
        custom = [document for document in documents if document["kind"] != "InferenceService"]
        assert {document["kind"] for document in custom} == {"HTTPRoute", "AnalysisTemplate"}
        assert refused(schemas, custom) == ""
    custom[0]["spec"]["rules"] = "all"
    assert "HTTPRoute" in refused(schemas, custom)


def test_the_schemas_refuse_what_is_wrong(schemas):
    broken = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "x"}, "spec": {}}
    assert "scaleTargetRef" in refused(schemas, [broken])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "replcias=3"], "replcias"),
        (["--set", "models.source=pvc"], "claim"),
        (["--set", "models.source=oci"], "reference"),
        (["--set", "models.source=objects"], "objects"),
        (["--set", "models.source=objects,models.objects={s3://m/a.mar}"], "objects"),
        (["--set", "autoscaling.kind=http"], "hosts"),
        (["--set", "image.digest=latest"], "digest"),
        (["--set", "confine=no-netwrok"], "confine"),
        (["--set-json", 'default={"segment": 1.10}'], "default"),  # a number, which becomes 1.1
        (["--set-string", "default.segment=1.1.0", "--set", "traffic=[default]"], "not in both"),
    ],
)
def test_values_that_cannot_be_right_are_refused_by_name(words, message):
    completed = helm("template", "demo", str(CHART), *words)
    assert completed.returncode != 0
    assert message in completed.stderr


def test_pods_run_as_nobody_in_particular_and_write_only_where_they_must():
    documents = rendered("--values", str(HELM / "values" / "objects-to-zero.yaml"))
    pod = of(documents, "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    for part in [*pod["containers"], *pod["initContainers"]]:
        confined = part["securityContext"]
        assert confined["readOnlyRootFilesystem"] is True
        assert confined["allowPrivilegeEscalation"] is False
        assert confined["capabilities"] == {"drop": ["ALL"]}
    writable = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/state", "/tmp"}  # noqa: S108 - a path in the container


def test_probes_ask_the_gateway_that_clients_come_through():
    plain, locked = container(rendered()), container(rendered("--values", str(HELM / "values" / "locked.yaml")))
    for probe in ("startupProbe", "readinessProbe"):
        assert plain[probe]["httpGet"]["path"] == "/v2/health/ready"
    assert plain["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"
    assert "scheme" not in plain["readinessProbe"]["httpGet"]
    assert locked["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"
    start = plain["startupProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] >= 300


def test_only_the_gateways_ports_are_open_and_management_is_not_among_them():
    for values in VALUES:
        documents = rendered("--values", str(values))
        assert {port["containerPort"] for port in container(documents)["ports"]} == {8000, 9902}
        open_ports = [rule["ports"] for rule in of(documents, "NetworkPolicy")["spec"]["ingress"]]
        assert {port["port"] for ports in open_ports for port in ports} <= {"http", "counters"}
    policy = of(rendered(), "NetworkPolicy")["spec"]
    assert [rule["ports"] for rule in policy["ingress"]] == [[{"port": "http"}]], "nobody may scrape unless named"


def test_traffic_of_every_value_file_is_one_that_the_gateway_reads(tmp_path):
    for values in [None, *VALUES]:
        text = of(rendered(*(["--values", str(values)] if values else [])), "ConfigMap")["data"]["gateway.toml"]
        (tmp_path / "gateway.toml").write_text(text)
        for name in ("tls.crt", "tls.key"):
            (tmp_path / name).touch()
        assert read_config(tmp_path / "gateway.toml").listen.host == "0.0.0.0"  # noqa: S104 - in a pod


def test_the_default_versions_of_a_new_pod_reach_its_traffic_file(tmp_path):
    path, words = tmp_path / "gateway.toml", ["--set-string", "default.segment=1.1.0", "--set-string", "default.my-x=2"]
    path.write_text(of(rendered(*words), "ConfigMap")["data"]["gateway.toml"])
    config = read_config(path)
    assert config.default == {"segment": "1.1.0", "my-x": "2"}
    assert config.listen.host == "0.0.0.0"  # noqa: S104 - in a pod
    marks = [
        of(rendered(*some), "Deployment")["spec"]["template"]["metadata"]["annotations"]["onnxserve/traffic"]
        for some in (words, [])
    ]
    assert marks[0] != marks[1]  # a pod that runs has read the other one


def test_commands_in_a_pod_find_its_server_without_options():
    variables = {variable["name"]: variable["value"] for variable in container(rendered())["env"]}
    mounts = {mount["mountPath"] for mount in container(rendered())["volumeMounts"] if not mount.get("readOnly")}
    assert variables["ONNXSERVE_STATE"] in mounts  # TorchServe's sockets are made there
    assert variables["ONNXSERVE_GATEWAY_FILE"] == "/etc/onnxserve/gateway.toml"


def test_pods_confine_workers_by_what_their_seccomp_profile_allows():
    documents = rendered("--set-string", "confine=no-network\\,memory=4096")
    variables = {variable["name"]: variable["value"] for variable in container(documents)["env"]}
    assert variables["ONNXSERVE_CONFINE"] == "no-network,memory=4096"
    # RuntimeDefault forbids unshare(2); prctl(2), by which a process filters its own calls, it allows.
    assert of(documents, "Deployment")["spec"]["template"]["spec"]["securityContext"]["seccompProfile"] == {
        "type": "RuntimeDefault"
    }
    assert "ONNXSERVE_CONFINE" not in {variable["name"] for variable in container(rendered())["env"]}


def test_a_gpu_is_asked_for_once_and_only_where_it_is_wanted():
    limits = container(rendered("--values", str(HELM / "values" / "gpu.yaml")))["resources"]["limits"]
    assert limits["nvidia.com/mig-1g.10gb"] == 1
    assert set(container(rendered())["resources"]["limits"]) == {"memory"}


def test_whoever_scales_or_scrapes_asks_for_what_the_gateway_counts():
    documents = rendered("--values", str(HELM / "values" / "oci-keda.yaml"), "--set", "podMonitor.enabled=true")
    [trigger] = of(documents, "ScaledObject")["spec"]["triggers"]
    query = trigger["metadata"]["query"]
    counted = "\n".join(Counters().lines())
    names = set(re.findall(r"onnxserve_\w+", query))
    assert names
    assert all(f"# TYPE {name.removesuffix('_sum')} " in counted for name in names)
    [endpoint] = of(documents, "PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint == {"port": "counters", "path": "/metrics"}


def test_replicas_are_left_to_whoever_scales():
    assert of(rendered(), "Deployment")["spec"]["replicas"] == 2
    scaled = rendered("--values", str(HELM / "values" / "volume-hpa.yaml"))
    assert "replicas" not in of(scaled, "Deployment")["spec"]
    assert (
        of(scaled, "HorizontalPodAutoscaler")["spec"]["metrics"][0]["pods"]["metric"]["name"] == "onnxserve_in_flight"
    )
    zero = of(rendered("--values", str(HELM / "values" / "objects-to-zero.yaml")), "HTTPScaledObject")["spec"]
    assert zero["replicas"] == {"min": 0, "max": 4}
