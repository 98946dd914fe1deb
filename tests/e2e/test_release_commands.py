"""`onnxserve release` beside a running `serve`: commands that meet, and a disk that is full."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.serving import Serving, serving, settings_in
from tests.helpers.torchserve import ROOT
from tests.helpers.waiting import wait_for


@pytest.fixture(scope="module")
def server(archive, tmp_path_factory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("commands")
    with serving(settings_in(folder, [archive]), folder, "--warm-up", "0") as running:
        yield running


def begin(server: Serving, *words: str) -> subprocess.Popen[str]:
    settings = server.settings
    flags = ["--config", str(settings.config), "--state", str(settings.state)]
    command = [sys.executable, "-m", "onnxserve", "release", *words, *flags]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.mar"))


def test_two_registrations_of_one_archive_at_once_both_succeed_and_the_store_is_sound(server, archive, next_archive):
    both = [begin(server, "register", str(next_archive)) for _ in range(2)]
    ended = [(process.communicate(timeout=300), process.returncode) for process in both]
    assert [code for _, code in ended] == [0, 0], ended
    assert all("ready as version 2.0.0" in output for (output, _), _ in ended)
    assert names(server.settings.store) == names(server.settings.state / "store") == [archive.name, next_archive.name]
    assert [(version.version, version.ready) for version in server.release.status("circle")] == [
        ("1.0.0", True),
        ("2.0.0", True),
    ]


def test_a_step_that_the_history_can_not_take_is_in_force_and_the_command_says_both(server):
    wait_for(lambda: [version.version for version in server.release.status("circle")] == ["1.0.0", "2.0.0"])
    history = server.settings.state / "releases.jsonl"
    lines = history.read_bytes()
    history.unlink()
    history.symlink_to("/dev/full")
    try:
        process = begin(server, "canary", "circle", "2.0.0", "--percent", "10")
        output, errors = process.communicate(timeout=120)
    finally:
        history.unlink()
        history.write_bytes(lines)
    assert (process.returncode, output) == (3, "circle canary: none -> 2.0.0 at 10 %\n")
    assert "the step is in force, but the history can't be written: No space left on device" in errors
    assert json.loads(errors.partition("append to the file: ")[2])["action"] == "canary"
    canary = server.release.role_store.roles.models["circle"].canary
    assert canary
    assert canary.percent == 10
