"""V2 by the clients that its users have: Triton's and KServe's, each of them unchanged, against the real gateway."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from onnxserve.gateway import GatewayConfig, Model, Roles
from onnxserve.gateway.kubernetes import kubernetes_files
from tests.helpers.gateway import TorchServeClient
from tests.helpers.messages import file_descriptors
from tests.helpers.torchserve import ROOT

CLIENTS = ROOT / ".venv" / "clients" / "bin" / "python"  # an environment of their own: they pin what we don't
SCRIPTS = ROOT / "tests" / "clients"


def run(script: str, *words: str, stdin: str = "") -> str:
    assert CLIENTS.is_file(), "make .venv/.installed"
    command = [str(CLIENTS), str(SCRIPTS / script), *words]
    completed = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=300)
    assert completed.returncode == 0, completed.stderr[-3000:]
    return completed.stdout


@pytest.fixture(scope="module")
def golden(tmp_path_factory) -> Path:
    """Golden rows of two models, and torch's label for each."""
    golden_rows: dict[str, Any] = {}
    for name in ("segment", "sentiment"):
        with zipfile.ZipFile(ROOT / "model_store" / f"{name}-1.0.0.mar") as archive:
            rows = json.loads(archive.read("golden.json"))
            labels = json.loads(archive.read("signature.json"))["output"]["labels"]
        best = [labels[max(range(len(row)), key=row.__getitem__)] for row in rows["outputs"]]
        golden_rows[name] = {"inputs": rows["instances"], "labels": best}
    path: Path = tmp_path_factory.mktemp("golden") / "golden.json"
    path.write_text(json.dumps(golden_rows))
    return path


@pytest.mark.parametrize("script", ["v2.py", "calls.py"])
def test_tritons_and_kserves_clients_get_what_the_protocol_promises(
    demo_gateway: TorchServeClient, golden, tmp_path, script
):
    """v2.py asks over HTTP, and over gRPC by KServe's client; calls.py over gRPC by Triton's."""
    service = tmp_path / "service.pb"
    service.write_bytes(file_descriptors().SerializeToString())
    address = demo_gateway.url.removeprefix("http://")
    assert json.loads(run(script, address, str(golden), str(service)).splitlines()[-1]) == []


def test_manifests_for_kserve_have_no_field_that_kserve_does_not_know():
    documents = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "deploy" / "kserve").glob("*.yaml"))]
    assert {manifest["kind"] for manifest in documents} == {"ServingRuntime", "InferenceService"}
    roles = Roles({"demo": Model({"1.0.0": "a" * 64}, "1.0.0")})
    files = kubernetes_files(GatewayConfig(), roles)
    documents.append(yaml.safe_load(files["inferenceservice-demo.yaml"]))
    assert run("schemas.py", stdin=json.dumps(documents)) == ""
    [runtime] = [manifest["spec"] for manifest in documents if manifest["kind"] == "ServingRuntime"]
    pod = {"metadata": {"name": "x"}, "spec": {name: runtime[name] for name in ("containers", "volumes")}}
    kubernetes_validate.validate({"apiVersion": "v1", "kind": "Pod", **pod}, "1.33", strict=True)
    documents[0]["spec"]["predictor"]["canaryPercent"] = 10
    assert run("schemas.py", stdin=json.dumps(documents)).split() == ["InferenceService.spec.predictor.canaryPercent"]
