"""One host: Compose's and systemd's own tools take what we ship, and it says what we mean."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

SINGLE = Path(__file__).parents[2] / "deploy" / "single"
MOST_EXPOSED = 2.0  # of systemd's ten


def test_compose_takes_the_file_and_only_the_gateway_is_published(tmp_path):
    checker = Path(sys.executable).with_name("check-jsonschema")
    words = [str(checker), "--builtin-schema", "vendor.compose-spec"]
    assert subprocess.run([*words, str(SINGLE / "compose.yaml")], check=False, capture_output=True).returncode == 0
    document = yaml.safe_load((SINGLE / "compose.yaml").read_text())
    service = document["services"]["onnxserve"]
    assert service["ports"] == ["8000:8000"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    for volume in service["volumes"]:
        source, _, mode = volume.partition(":")
        assert mode.endswith(":ro") or source == "state"
    # TorchServe's sockets are made on the one writable volume, and `ready` and `release` look for them there.
    assert f"state:{service['environment']['ONNXSERVE_STATE']}" in service["volumes"]
    service["read_onyl"] = True
    (tmp_path / "broken.yaml").write_text(yaml.safe_dump(document))
    assert subprocess.run([*words, str(tmp_path / "broken.yaml")], check=False, capture_output=True).returncode != 0


@pytest.fixture
def analyze() -> str:
    program = shutil.which("systemd-analyze")
    assert program, "apt-get install systemd"
    return program


def uncommented(text: str, name: str) -> str:
    """A file with the line of a variable that it only suggests."""
    [line] = [line for line in text.splitlines() if name in line]
    return text.replace(line, line.replace("# ", "", 1))


def test_both_files_offer_the_confinement_that_their_own_filters_allow(analyze, tmp_path):
    document = yaml.safe_load(uncommented((SINGLE / "compose.yaml").read_text(), "ONNXSERVE_CONFINE"))
    service = document["services"]["onnxserve"]
    assert service["environment"]["ONNXSERVE_CONFINE"] == "no-network,memory=4096"
    # Docker's own profile stays: it allows prctl(2), and no-network needs nothing else.
    assert service["security_opt"] == ["no-new-privileges:true"]

    unit = uncommented((SINGLE / "onnxserve.service").read_text(), "ONNXSERVE_CONFINE")
    (tmp_path / "onnxserve.service").write_text(unit.replace("/opt/onnxserve/bin/onnxserve", sys.executable))
    words = [analyze, "verify", str(tmp_path / "onnxserve.service")]
    completed = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (completed.returncode, "onnxserve.service" in completed.stderr) == (0, False)
    settings = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and not line.startswith("#"))
    assert settings["RestrictNamespaces"] == "yes"
    assert settings["SystemCallFilter"] == "@system-service"
    allowed, groups = set[str](), ["@system-service"]
    while groups:
        listed = subprocess.run([analyze, "syscall-filter", groups.pop()], capture_output=True, text=True, check=True)
        names = {line.strip() for line in listed.stdout.splitlines()[1:]}
        groups += [name for name in names if name.startswith("@")]
        allowed |= names
    assert "prctl" in allowed


def test_systemd_takes_the_unit_and_finds_it_confined(analyze, tmp_path):
    text = (SINGLE / "onnxserve.service").read_text()
    unit = tmp_path / "onnxserve.service"
    unit.write_text(text.replace("/opt/onnxserve/bin/onnxserve", sys.executable))  # verify wants one that is there
    completed = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr
    assert "onnxserve.service" not in completed.stderr
    words = [analyze, "security", "--offline=true", "--no-pager", str(unit)]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    program, _, wait = settings["ExecStartPost"].partition(" release ready --wait ")
    assert program == settings["ExecStart"].removesuffix(" serve")
    assert 0 < int(wait) < int(settings["TimeoutStartSec"]), "its own message comes before systemd ends it"
    [level] = [line.partition(": ")[2].split()[0] for line in lines if "Overall exposure level" in line]
    assert float(level) <= MOST_EXPOSED
