"""What the image installs: every package pinned with its digests, and such as pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "deploy" / "locks" / "serve.txt"
EXTRAS = ("edge", "sign", "trace", "monitor", "pull")
PIN = re.compile(
    r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+) \\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)


def pins() -> dict[str, str]:
    return {canonicalize_name(name): version for name, version, _ in PIN.findall(LOCK.read_text())}


def test_every_line_of_the_lock_is_a_pin_with_digests_or_a_comment():
    rest = PIN.sub("", LOCK.read_text())
    assert [line for line in rest.splitlines() if line.strip() and not line.strip().startswith("#")] == []
    assert len(pins()) > 50


def test_the_lock_is_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(one for extra in EXTRAS for one in project["optional-dependencies"][extra])]
    found = pins()
    for requirement in map(Requirement, wanted):
        version = found.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is missing: make lock"
        assert version in requirement.specifier, f"{requirement} but {version} in the lock: make lock"


def test_the_image_installs_from_the_lock():
    text = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes -r deploy/locks/serve.txt" in text
    assert "COPY deploy/locks/serve.txt" in text
