"""V2 by the clients that its users have: Triton's and KServe's, each of them unchanged, against the real edge."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from onnxserve.config import free_ports
from onnxserve.edge import Edge, Intent, Labels, Model
from onnxserve.edge.envoy.grpc import described
from onnxserve.edge.intent import Listen
from onnxserve.edge.kubernetes import kubernetes_files
from onnxserve.edge.processes import start
from tests.e2e.server import ROOT, Running

CLIENTS = ROOT / ".venv" / "clients" / "bin" / "python"  # an environment of their own: they pin what we don't
SCRIPTS = ROOT / "tests" / "clients"


def run(script: str, *words: str, given: str = "") -> str:
    assert CLIENTS.is_file(), "make .venv/.installed"
    command = [str(CLIENTS), str(SCRIPTS / script), *words]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def golden(tmp_path_factory) -> Path:
    """Golden rows of two models, and torch's label for each."""
    found: dict[str, Any] = {}
    for name in ("segment", "sentiment"):
        with zipfile.ZipFile(ROOT / "model_store" / f"{name}-1.0.0.mar") as archive:
            rows = json.loads(archive.read("golden.json"))
            labels = json.loads(archive.read("signature.json"))["labels"]
        best = [labels[max(range(len(row)), key=row.__getitem__)] for row in rows["outputs"]]
        found[name] = {"inputs": rows["instances"], "labels": best}
    path: Path = tmp_path_factory.mktemp("golden") / "golden.json"
    path.write_text(json.dumps(found))
    return path


def test_tritons_and_kserves_clients_get_what_the_protocol_promises_over_http_and_grpc(demo: Running, golden, tmp_path):
    service = tmp_path / "service.pb"
    service.write_bytes(described().SerializeToString())
    demo.release.restore()
    port, metrics = free_ports(2)
    edge = Edge(
        Intent(listen=Listen(port=port, metrics_port=metrics, grpc=True)),
        (demo.settings.state / "edge-of-clients").resolve(),
        demo.settings.inference_port,
        demo.settings.management_port,
    )
    door = start(edge, demo.release.traffic.labels)
    try:
        for script in ("v2.py", "calls.py"):
            assert json.loads(run(script, f"127.0.0.1:{port}", str(golden), str(service)).splitlines()[-1]) == []
    finally:
        door.stop()


def test_manifests_for_kserve_have_no_field_that_kserve_does_not_know():
    documents = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "deploy" / "kserve").glob("*.yaml"))]
    assert {one["kind"] for one in documents} == {"ServingRuntime", "InferenceService"}
    labels = Labels({"demo": Model({"1.0.0": "a" * 64}, "1.0.0")})
    files = kubernetes_files(Intent(), labels)
    documents.append(yaml.safe_load(files["inferenceservice-demo.yaml"]))
    assert run("schemas.py", given=json.dumps(documents)) == ""
    [runtime] = [one["spec"] for one in documents if one["kind"] == "ServingRuntime"]
    pod = {"metadata": {"name": "x"}, "spec": {name: runtime[name] for name in ("containers", "volumes")}}
    kubernetes_validate.validate({"apiVersion": "v1", "kind": "Pod", **pod}, "1.33", strict=True)
    documents[0]["spec"]["predictor"]["canaryPercent"] = 10
    assert run("schemas.py", given=json.dumps(documents)).split() == ["InferenceService.spec.predictor.canaryPercent"]
