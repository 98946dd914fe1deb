"""The plugin is optional, and is built where there is a JDK."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxserve.doctor.batching_plugin import plugin
from onnxserve.errors import ServerError

JAVAC = """#!/bin/sh
while [ "$1" != -d ]; do shift; done
{body}
"""


@pytest.fixture
def javac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A compiler that makes one class, or what a test makes of it."""
    program = tmp_path / "bin" / "javac"
    program.parent.mkdir()

    def write(body: str) -> None:
        program.write_text(JAVAC.format(body=body))
        program.chmod(0o755)

    write('touch "$2/Batching.class"')
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return write


@pytest.fixture
def folder(settings, tmp_path: Path) -> Path:
    settings.config.write_text("plugins_path=plugins\n")
    return tmp_path / "plugins"


def test_a_missing_plugin_is_no_fault_and_is_built_with_a_jdk(settings, folder, javac):
    finding = plugin(settings)
    assert (finding.result.startswith("none: "), finding.fix) == (True, "")
    assert finding.repair
    finding.repair.apply()
    assert (folder / "onnxserve-batching.jar").is_file()
    assert plugin(settings).result == "batches wait only for requests that are expected"
    assert plugin(settings).repair is None


def test_what_the_compiler_says_is_told(settings, folder, javac):
    javac('echo "error: no such class" >&2; exit 1')
    repair = plugin(settings).repair
    assert repair
    with pytest.raises(ServerError, match="the plugin can't be built"):
        repair.apply()


def test_without_a_jdk_or_a_folder_for_it_there_is_nothing_to_repair(settings, folder, monkeypatch, tmp_path):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert plugin(settings).repair is None
    assert "JDK" in plugin(settings).result
    settings.config.write_text("")
    assert "no plugins_path" in plugin(settings).result
