"""OpenVINO as the provider: archives are proven and served on its kernels, by the build of onnxruntime that has it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from onnxserve.archive import read_config
from tests import ROOT
from tests.helpers.environments import environment_with

REQUIREMENT = "onnxruntime-openvino==1.24.1"
# Prints how many nodes each provider runs, and by how many spreads golden rows deviate.
DESCRIBE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from importlib import import_module
import json
package = next(Path(sys.argv[1]).glob("handlers_*")).name
offline = import_module(package + ".offline")
handler, context = offline.loaded(Path(sys.argv[1]), 1)
print(json.dumps({"nodes": handler.session.placement(), "deviation": handler.golden_deviation}))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """An interpreter whose environment has that build in the place of the tests' onnxruntime."""
    return environment_with(REQUIREMENT, tmp_path_factory) / "bin" / "python"


def run(python: Path, *words: str, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    completed = subprocess.run(
        [str(python), *words], capture_output=True, text=True, check=False, env=environment, timeout=300
    )
    assert completed.returncode == 0, completed.stdout[-2000:] + completed.stderr[-3000:]
    return completed.stdout


@pytest.mark.parametrize("name", ["digits", "sentiment"])
def test_an_archive_of_the_cpu_holds_its_proof_on_openvino(python, name):
    archive = ROOT / "model_store" / f"{name}-1.0.0.mar"
    words = ("-m", "onnxserve", "archive", "verify", str(archive), "--rerun", "--provider", "openvino", "--json")
    proof = json.loads(run(python, *words))["rerun"]
    assert proof["refusal"] == ""
    assert proof["rows"] > 600


def test_a_model_that_is_to_be_served_on_openvino_is_proven_on_it(python, definition, tmp_path):
    model = copy_of(definition, tmp_path / "circle", 'provider = "openvino"')
    run(python, "-m", "onnxserve", "export", str(model), "--store", str(tmp_path / "store"))
    archive = tmp_path / "store" / "circle-1.0.0.mar"
    evidence = json.loads((tmp_path / "store" / "circle-1.0.0.evidence.json").read_text())
    assert evidence["environment"]["onnxruntime-openvino"] == REQUIREMENT.partition("==")[2]
    assert evidence["summary"]["proof"] in ("certified", "parity")
    assert read_config(archive)["handler"]["provider"] == "openvino"
    names = {timing["variant"] for timing in evidence["timings"]}
    assert not any("on OpenVINO" in name for name in names), "the times are OpenVINO's already"
    about = described(python, archive, tmp_path / "unpacked")
    assert about["nodes"].get("OpenVINOExecutionProvider", 0) > 0
    assert about["deviation"] < 0.01


def test_where_it_is_installed_the_export_times_it_beside_the_cpus_own_kernels(python, definition, tmp_path):
    model = copy_of(definition, tmp_path / "circle")
    run(python, "-m", "onnxserve", "export", str(model), "--store", str(tmp_path / "store"))
    timings = json.loads((tmp_path / "store" / "circle-1.0.0.evidence.json").read_text())["timings"]
    assert "fp32 on OpenVINO" in {timing["variant"] for timing in timings}


def copy_of(definition: Path, folder: Path, setting: str = "") -> Path:
    """The definition in another folder, with a further setting of `[serve]`."""
    folder.mkdir()
    for path in definition.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    toml = (folder / "model.toml").read_text()
    assert "[serve]" in toml
    (folder / "model.toml").write_text(toml.replace("[serve]", f"[serve]\n{setting}", 1))
    return folder


def described(python: Path, archive: Path, folder: Path) -> Any:
    from onnxserve.archive import unpack

    unpack(archive, folder)
    return json.loads(run(python, "-c", DESCRIBE, str(folder), ONNXSERVE_PROVIDER="openvino"))
