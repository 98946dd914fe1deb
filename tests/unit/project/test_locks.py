"""What the image installs: every package pinned with its digests, and such as pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import ROOT

LOCKS = ROOT / "deploy" / "locks"
EXTRAS = ("gateway", "sign", "trace", "monitor", "pull", "audio")
PIN = re.compile(
    r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+) \\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)


def pins(name: str) -> dict[str, str]:
    text = (LOCKS / f"{name}.txt").read_text()
    return {canonicalize_name(package): version for package, version, _ in PIN.findall(text)}


def missing(pinned: dict[str, str], requirements: list[str]) -> list[str]:
    parsed = [Requirement(requirement) for requirement in requirements]
    return [
        str(requirement)
        for requirement in parsed
        if pinned.get(canonicalize_name(requirement.name), "0") not in requirement.specifier
    ]


@pytest.mark.parametrize(("name", "least"), [("cpu", 50), ("cuda", 60), ("build", 10)])
def test_every_line_of_a_lock_is_a_pin_with_digests_or_a_comment(name, least):
    rest = PIN.sub("", (LOCKS / f"{name}.txt").read_text())
    assert [line for line in rest.splitlines() if line.strip() and not line.strip().startswith("#")] == []
    assert len(pins(name)) >= least


def test_the_locks_are_what_the_project_asks_for():
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = document["project"]
    required = [
        *project["dependencies"],
        *(requirement for extra in EXTRAS for requirement in project["optional-dependencies"][extra]),
    ]
    gpu = [requirement.replace("onnxruntime>", "onnxruntime-gpu>") for requirement in required]
    assert missing(pins("cpu"), required) == [], "make lock"
    assert missing(pins("cuda"), gpu) == [], "make lock"
    assert missing(pins("build"), document["build-system"]["requires"]) == [], "make lock"


def test_the_two_images_differ_by_what_cuda_needs_alone():
    cpu, cuda = pins("cpu"), pins("cuda")
    assert set(cpu) - set(cuda) == {"onnxruntime"}
    assert {name.split("-")[0] for name in set(cuda) - set(cpu)} == {"onnxruntime", "nvidia"}
    assert [name for name in cpu if name in cuda and cpu[name] != cuda[name]] == []


def test_the_image_installs_from_the_locks_and_nothing_else():
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
    installs = re.findall(r"pip (?:install|wheel) [^&\n]*", text)
    assert len(installs) == 4
    assert [command for command in installs if "--require-hashes" not in command and "--no-index" not in command] == []
